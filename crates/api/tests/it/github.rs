use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use api::github::{GitHub, GitHubError, NewPull};
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::IntoResponse as _,
    routing::get,
};
use commands::Context;
use domain::github::Repository;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::Url;

/// What the forge counts.
#[derive(Default)]
struct Seen {
    flaky: AtomicU32,
    posts: AtomicU32,
}

/// A forge below `/api/v3`, as an Enterprise host has it.
async fn forge(token: Option<&str>) -> (GitHub, Arc<Seen>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let seen = Arc::new(Seen::default());
    let v3 = Router::new()
        .route("/user", get(user))
        .route("/repos/acme/widget", get(repository))
        .route("/repos/acme/widget/issues", get(issues))
        .route("/repos/acme/widget/issues/{number}", get(issue))
        .route("/repos/acme/widget/branches/{name}", get(branch))
        .route("/repos/acme/widget/pulls", get(pulls).post(create))
        .route("/repos/acme/widget/contents/{*path}", get(contents))
        .route("/repos/acme/flaky", get(flaky))
        .route("/repos/acme/down", get(|| async { StatusCode::BAD_GATEWAY }))
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/api/v3", listener.local_addr().unwrap())).unwrap();
    let app = Router::new().nest("/api/v3", v3);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (GitHub::new(&url, token, Context::system().clock).unwrap(), seen)
}

async fn user(headers: HeaderMap) -> axum::response::Response {
    match headers.get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Bearer right") => Json(json!({ "login": "octo", "id": 1 })).into_response(),
        Some(_) => (StatusCode::UNAUTHORIZED, Json(json!({ "message": "Bad credentials" })))
            .into_response(),
        None => {
            let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4102444800")];
            (StatusCode::FORBIDDEN, headers, "{}").into_response()
        }
    }
}

fn described(name: &str) -> Value {
    json!({
        "full_name": name, "default_branch": "trunk", "html_url": "https://forge/acme/widget",
        "permissions": { "pull": true, "push": true },
    })
}

async fn repository() -> Json<Value> {
    Json(described("acme/widget"))
}

async fn flaky(State(seen): State<Arc<Seen>>) -> axum::response::Response {
    if seen.flaky.fetch_add(1, Ordering::SeqCst) < 2 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(described("acme/flaky")).into_response()
}

fn an_issue(number: u64) -> Value {
    json!({ "number": number, "title": "It is broken", "body": null, "state": "open",
        "html_url": format!("https://forge/acme/widget/issues/{number}") })
}

async fn issues(RawQuery(query): RawQuery) -> axum::response::Response {
    assert!(query.unwrap().contains("state=open"));
    let mut pull = an_issue(8);
    pull["pull_request"] = json!({ "url": "…" });
    let link = [("link", "<https://forge/issues?page=2>; rel=\"next\"")];
    (link, Json(json!([an_issue(7), pull]))).into_response()
}

async fn issue(Path(number): Path<u64>) -> axum::response::Response {
    if number == 7 {
        return Json(an_issue(7)).into_response();
    }
    (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))).into_response()
}

async fn branch(Path(name): Path<String>) -> axum::response::Response {
    if name == "paddock/fix" {
        return Json(json!({ "name": name, "commit": { "sha": "0a" } })).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

fn a_pull(number: u64) -> Value {
    json!({ "number": number, "html_url": "https://forge/acme/widget/pull/9", "state": "open",
        "draft": false, "body": "b", "head": { "sha": "0a", "ref": "paddock/fix" } })
}

async fn pulls(RawQuery(query): RawQuery) -> Json<Value> {
    let query = query.unwrap();
    let mine = query.contains("head=acme%3Apaddock%2Ffix") && query.contains("base=main");
    Json(if mine { json!([a_pull(9)]) } else { json!([]) })
}

async fn create(State(seen): State<Arc<Seen>>, Json(new): Json<Value>) -> axum::response::Response {
    seen.posts.fetch_add(1, Ordering::SeqCst);
    match new["head"].as_str().unwrap() {
        "paddock/fix" => (StatusCode::CREATED, Json(a_pull(9))).into_response(),
        "broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {
            let errors = json!([{ "resource": "PullRequest", "code": "custom",
                "message": "No commits between main and other" }]);
            let body = json!({ "message": "Validation Failed", "errors": errors });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    }
}

async fn contents(Path(path): Path<String>, RawQuery(query): RawQuery) -> axum::response::Response {
    if path == "PULL_REQUEST_TEMPLATE.md" && query.as_deref() == Some("ref=main") {
        let file = json!({ "type": "file", "encoding": "base64", "content": "IyMg\nV2hhdA==\n" });
        return Json(file).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

fn widget() -> Repository {
    "acme/widget".parse().unwrap()
}

fn new_pull(head: &str) -> NewPull {
    NewPull {
        title: "t".into(),
        body: "b".into(),
        head: head.parse().unwrap(),
        base: "main".parse().unwrap(),
        draft: false,
    }
}

#[tokio::test]
async fn minimal_answers_of_a_forge_below_a_path_are_understood() {
    let (github, _) = forge(Some("right")).await;
    assert_eq!(github.user().await.unwrap().login, "octo");
    let found = github.repository(&widget()).await.unwrap();
    assert_eq!((found.default_branch.as_str(), found.can_push()), ("trunk", true));
    let fix = "paddock/fix".parse().unwrap();
    assert_eq!(github.branch(&widget(), &fix).await.unwrap().unwrap().commit.sha, "0a");
    let other = "paddock/other".parse().unwrap();
    assert_eq!(github.branch(&widget(), &other).await.unwrap(), None);
    let page = github.issues(&widget(), 1).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, Some(2)), "a pull request is no issue");
    assert_eq!(github.issue(&widget(), 7).await.unwrap().title, "It is broken");
    assert_eq!(github.issue(&widget(), 8).await, Err(GitHubError::NotFound));
}

#[tokio::test]
async fn a_pull_request_is_found_by_its_head_made_and_refused_in_githubs_words() {
    let (github, seen) = forge(Some("right")).await;
    let (fix, other) = ("paddock/fix".parse().unwrap(), "other".parse().unwrap());
    let main = "main".parse().unwrap();
    let open = github.open_pull(&widget(), &fix, &main).await.unwrap();
    assert_eq!(open.map(|pull| pull.number), Some(9));
    assert_eq!(github.open_pull(&widget(), &other, &main).await.unwrap(), None);
    assert_eq!(
        github.create_pull(&widget(), &new_pull("paddock/fix")).await.unwrap().head.sha,
        "0a"
    );
    let refused = github.create_pull(&widget(), &new_pull("other")).await.unwrap_err();
    assert!(refused.in_words().contains("No commits between main and other"), "{refused:?}");
    let template = github.pull_template(&widget(), &main).await.unwrap();
    assert_eq!(template.as_deref(), Some("## What"));

    let before = seen.posts.load(Ordering::SeqCst);
    let broken = github.create_pull(&widget(), &new_pull("broken")).await;
    assert!(matches!(broken, Err(GitHubError::Unavailable { .. })), "{broken:?}");
    assert_eq!(
        seen.posts.load(Ordering::SeqCst),
        before + 1,
        "a post is never tried again by itself"
    );
}

#[tokio::test]
async fn what_fails_in_passing_is_tried_again_and_given_up_in_the_end() {
    let (github, seen) = forge(None).await;
    assert!(github.repository(&"acme/flaky".parse().unwrap()).await.is_ok());
    assert_eq!(seen.flaky.load(Ordering::SeqCst), 3);
    let down = github.repository(&"acme/down".parse().unwrap()).await;
    assert!(matches!(down, Err(GitHubError::Unavailable { .. })), "{down:?}");
    let gone = github.repository(&"acme/gone".parse().unwrap()).await;
    assert_eq!(gone, Err(GitHubError::NotFound));

    let nowhere = Url::parse("http://127.0.0.1:1").unwrap();
    let github = GitHub::new(&nowhere, None, Context::system().clock).unwrap();
    let Err(GitHubError::Unavailable { detail }) = github.user().await else { panic!() };
    assert!(!detail.contains('\n') && !detail.is_empty(), "{detail}");
}

#[tokio::test]
async fn a_wrong_token_and_a_used_up_limit_are_told_apart() {
    let (wrong, _) = forge(Some("wrong")).await;
    assert_eq!(wrong.user().await, Err(GitHubError::Unauthorised));
    let (none, _) = forge(None).await;
    let until = chrono::DateTime::from_timestamp(4_102_444_800, 0).unwrap();
    assert_eq!(none.user().await, Err(GitHubError::RateLimited { until }));
}
