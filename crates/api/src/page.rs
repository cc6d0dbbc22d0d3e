//! The page, built into the program from `web/dist`. It asks nobody else for anything.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// What a build without the page answers in its place.
const MISSING: &str = "Paddock runs, but this build is without its page: `make build` builds both.\n\
    The API is at /api/v1/openapi.json, the command line is `paddock --help`.\n";

/// Nothing but what comes from here; agents' output is on this page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// What every answer says.
const HEADERS: [(HeaderName, &str); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What documents and workers say, to which alone it applies: some thirty scripts and styles go without.
const DOCUMENT_HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Whatever no other route answers: the page's files, and the page itself wherever a link into it may lead.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().fallback(serve).layer(CompressionLayer::new())
}

async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let is_ours = !(path.starts_with("api/") || path.starts_with("schemas/"));
    if !is_ours || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::not_found("route").into_response();
    }
    if let Some(file) = Files::get(path).filter(|_| path != "index.html") {
        return answer(&file, path, request.headers());
    }
    // A file that is not there is no place in the page: an old page asks for assets that are gone.
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return Problem::not_found("file").into_response();
    }
    match Files::get("index.html") {
        Some(index) => answer(&index, "index.html", request.headers()),
        None => (StatusCode::OK, headers_of("index.html"), MISSING).into_response(),
    }
}

/// Assets have their content's hash in their names, and never change; everything else is asked for again.
fn answer(file: &EmbeddedFile, path: &str, asked: &HeaderMap) -> Response {
    let is_asset = path.starts_with("assets/");
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cache = if is_asset { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut headers = headers_of(path);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let (Ok(kind), Ok(etag)) =
        (HeaderValue::from_str(file.metadata.mimetype()), HeaderValue::from_str(&tag))
    {
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::ETAG, etag);
    }
    if asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data.clone().into_owned()).into_response()
}

fn headers_of(path: &str) -> HeaderMap {
    let is_plain = path.starts_with("assets/") && !path.starts_with("assets/worker");
    let of_documents = DOCUMENT_HEADERS.into_iter().filter(|_| !is_plain);
    let all = HEADERS.into_iter().chain(of_documents);
    all.map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router::<()>().oneshot(request).await.unwrap()
    }

    #[test]
    fn documents_and_workers_have_the_policy_and_nothing_is_guessed_at() {
        for (path, has_policy) in [
            ("index.html", true),
            ("favicon.svg", true),
            ("assets/worker-Ab12.js", true),
            ("assets/index-Ab12.js", false),
        ] {
            let headers = headers_of(path);
            assert_eq!(headers.contains_key(header::CONTENT_SECURITY_POLICY), has_policy, "{path}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }

    #[tokio::test]
    async fn a_link_into_the_page_leads_to_the_page_and_nothing_else_does() {
        for path in ["/", "/runs/0190aaaa", "/new?repo=a/b"] {
            let answer = get(path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        }
        for path in ["/api/v1/nothing", "/schemas/x/9", "/assets/gone-1234.js", "/../Cargo.toml"] {
            assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
