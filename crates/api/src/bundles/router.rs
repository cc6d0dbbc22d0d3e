//! The link listener's routes for bundles: `HEAD`, `PUT` and `GET /bundles/{sha256}`, under the identity
//! of a run.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::{
    ids::{BundleDigest, SessionId},
    session,
};
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{BundleError, Bundles, Progress, Uploader, upload::Part};
use crate::link::{Identified, LinkState};

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

pub(crate) fn routes() -> Router<LinkState> {
    Router::new().route("/bundles/{digest}", get(download).head(offset).put(upload))
}

async fn offset(
    State(link): State<LinkState>,
    identified: Identified,
    Path(digest): Path<String>,
) -> Result<Response, BundleError> {
    let digest = BundleDigest(digest);
    let have = link.bundles.received(identified.uploader(), &digest).await?;
    Ok((StatusCode::OK, [(UPLOAD_OFFSET, have)]).into_response())
}

async fn upload(
    State(link): State<LinkState>,
    identified: Identified,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, BundleError> {
    let part = part_of(&headers)?;
    let digest = BundleDigest(digest);
    let uploader: Uploader = identified.uploader();
    Ok(match link.bundles.receive(uploader, &digest, part, body.into_data_stream()).await? {
        Progress::Partial(have) => {
            (StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, have)]).into_response()
        }
        Progress::Whole => StatusCode::CREATED.into_response(),
    })
}

async fn download(
    State(link): State<LinkState>,
    identified: Identified,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, BundleError> {
    let digest = BundleDigest(digest);
    if !may_read(&link, &identified, &digest).await? {
        return Err(BundleError::NotFound);
    }
    content(&link.bundles, &digest, &headers).await
}

/// A run may read what its session uploaded, and what it is to restore.
async fn may_read(
    link: &LinkState,
    identified: &Identified,
    digest: &BundleDigest,
) -> Result<bool, BundleError> {
    if identified.requested.from.as_ref() == Some(digest)
        || link.bundles.uploaded(identified.session(), digest).await?.is_some()
    {
        return Ok(true);
    }
    Ok(head_of(link, identified.session()).await.is_some_and(|head| head == *digest))
}

async fn head_of(link: &LinkState, session: SessionId) -> Option<BundleDigest> {
    match link.commands.load_session(session).await {
        Ok((session::State::Known(session), _)) => session.head.map(|head| head.digest),
        Ok(_) | Err(_) => None,
    }
}

/// Answers with a bundle, or with the range that the request asks for.
pub(crate) async fn content(
    bundles: &Bundles,
    digest: &BundleDigest,
    headers: &HeaderMap,
) -> Result<Response, BundleError> {
    let size = bundles.size(digest).await?;
    let etag = format!("\"{digest}\"");
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    // A date would do too, but a bundle has none: it is what its name says, for ever.
    let whole_after_all = text(header::IF_RANGE).is_some_and(|known| known != etag);
    let asked = text(header::RANGE).filter(|_| !whole_after_all);
    let range = match asked.map(|asked| range_of(asked, size)) {
        None | Some(None) => None,
        Some(Some(range)) if range.start < range.end => Some(range),
        Some(Some(_)) => return Err(BundleError::Beyond { size }),
    };
    let partial = range.is_some();
    let found = bundles.open(digest, range).await?;
    let length = found.range.end - found.range.start;
    let mut response = Response::builder()
        .status(if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(header::CONTENT_TYPE, "application/zstd")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag)
        .header(header::CONTENT_LENGTH, length);
    if partial {
        let range = format!("bytes {}-{}/{}", found.range.start, found.range.end - 1, found.size);
        response = response.header(header::CONTENT_RANGE, range);
    }
    Ok(response
        .body(Body::from_stream(found.bytes))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
}

/// `bytes=first-`, `bytes=first-last` or `bytes=-last`; other forms are answered with the whole, as RFC 9110 allows.
fn range_of(asked: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some(size.saturating_sub(last.parse().ok()?)..size);
    }
    let first = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.checked_add(1)? };
    Some(first..end.min(size))
}

/// `bytes first-last/total`.
fn part_of(headers: &HeaderMap) -> Result<Part, BundleError> {
    let parse = |text: &str| {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let end = last.parse::<u64>().ok()?.checked_add(1)?;
        Some(Part { first: first.parse().ok()?, end, total: total.parse().ok()? })
    };
    headers
        .get(header::CONTENT_RANGE)
        .and_then(|range| range.to_str().ok())
        .and_then(parse)
        .ok_or(BundleError::Range)
}

impl IntoResponse for BundleError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Name | Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Range => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Digest => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Offset { have } => {
                let offset = [(UPLOAD_OFFSET, *have)];
                return (StatusCode::CONFLICT, offset, self.to_string()).into_response();
            }
            Self::Beyond { size } => {
                let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
                return (StatusCode::RANGE_NOT_SATISFIABLE, range, self.to_string())
                    .into_response();
            }
            Self::Full(_) => {
                tracing::warn!(error = &self as &dyn std::error::Error, "a bundle is not stored");
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::Address(_)
            | Self::Token(_)
            | Self::Io(_)
            | Self::Object(_)
            | Self::Database(_) => {
                tracing::error!(error = &self as &dyn std::error::Error, "the bundle store failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_writes_them() {
        assert_eq!(range_of("bytes=0-9", 100), Some(0..10));
        assert_eq!(range_of("bytes=90-", 100), Some(90..100));
        assert_eq!(range_of("bytes=90-200", 100), Some(90..100));
        assert_eq!(range_of("bytes=-5", 100), Some(95..100));
        assert_eq!(range_of("bytes=-500", 100), Some(0..100));
        assert_eq!(range_of("bytes=-", 100), None);
        assert_eq!(range_of(&format!("bytes=0-{}", u64::MAX), 100), None);
        let part = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, text.parse().unwrap());
            part_of(&headers).ok()
        };
        assert_eq!(part("bytes 0-9/20"), Some(Part { first: 0, end: 10, total: 20 }));
        for bad in ["bytes */20", "bytes 0-9/*", "0-9/20", "bytes 9/20", "bytes 0-9"] {
            assert_eq!(part(bad), None, "{bad}");
        }
    }
}
