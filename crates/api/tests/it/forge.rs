//! A forge with one repository, whose answers a test can change.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONNECTION},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;
use url::Url;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

#[derive(Default)]
pub(crate) struct Told {
    /// The pull requests, by number.
    pub(crate) pulls: std::collections::BTreeMap<u64, Value>,
    /// How often pull requests were asked for, and how often the answer was "as before".
    pub(crate) asked: u32,
    pub(crate) unchanged: u32,
    /// What each token is good for; any other is fine too, unless there is one of these.
    pub(crate) tokens: std::collections::BTreeMap<String, Good>,
    /// The tokens that questions about the repository came with, in order.
    pub(crate) carried: Vec<String>,
    /// The tokens that an app's key made, with the repository and permissions asked for, and those that were ended.
    pub(crate) minted: Vec<(String, Value)>,
    pub(crate) ended: Vec<String>,
    /// What an app said of itself, each time.
    pub(crate) words: Vec<String>,
    /// Until when everything is refused, in seconds since 1970.
    pub(crate) limited_until: Option<i64>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Good {
    /// Pushing to the repository; it says when it expires.
    Push,
    /// Reading it.
    Read,
    /// Nothing: it is wrong.
    Wrong,
    /// Nothing here: the forge fails.
    Down,
    /// Everything but this.
    Forbidden,
}

pub(crate) struct Forge {
    pub(crate) url: Url,
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) address: SocketAddr,
    serving: CancellationToken,
    served: JoinHandle<()>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let told = Arc::new(Mutex::new(Told::default()));
        let app = Router::new()
            .route("/rate_limit", get(|| async { Json(json!({})) }))
            .route("/repos/acme/{name}", get(repository))
            .route("/user", get(user))
            .route("/app", get(app_itself))
            .route("/repos/acme/widget/installation", get(installation))
            .route("/app/installations/7/access_tokens", post(mint))
            .route("/installation/token", delete(end_token))
            .route("/repos/acme/widget/branches", get(branches))
            .route("/repos/acme/widget/branches/{name}", get(branch))
            .route("/repos/acme/widget/issues", get(issues))
            .route("/repos/acme/widget/issues/{number}", get(issue))
            .route("/repos/acme/widget/pulls/{number}", get(pull))
            // Nothing outlives the forge: no connection is kept.
            .layer(SetResponseHeaderLayer::overriding(CONNECTION, CLOSE))
            .with_state(told.clone());
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("http://{address}")).unwrap();
        let serving = CancellationToken::new();
        let end = serving.clone().cancelled_owned();
        let served = tokio::spawn(async move {
            axum::serve(listener, app).with_graceful_shutdown(end).await.unwrap();
        });
        Self { url, told, address, serving, served }
    }

    /// Ends it: nothing answers at its address any more.
    pub(crate) async fn stop(self) {
        self.serving.cancel();
        self.served.await.unwrap();
    }

    /// The same, by reference.
    pub(crate) async fn stop_serving(&self) {
        self.serving.cancel();
        while !self.served.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))).into_response()
}

const EXPIRES: &str = "github-authentication-token-expiration";

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split_once(' ')).map_or("", |(_, token)| token).to_owned()
}

/// What the token of a request is good for, or the answer that says that it is not.
fn good(told: &Told, headers: &HeaderMap) -> Result<Good, Response> {
    let token = bearer(headers);
    let says = |status: StatusCode, words: &str| {
        Err((status, Json(json!({ "message": words }))).into_response())
    };
    if told.ended.contains(&token) {
        return says(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    match told.tokens.get(&token).copied().unwrap_or(Good::Push) {
        Good::Wrong => says(StatusCode::UNAUTHORIZED, "Bad credentials"),
        Good::Down => says(StatusCode::SERVICE_UNAVAILABLE, "down"),
        Good::Forbidden => says(StatusCode::FORBIDDEN, "Resource not accessible"),
        good @ (Good::Push | Good::Read) => Ok(good),
    }
}

async fn user(State(told): State<Arc<Mutex<Told>>>, headers: HeaderMap) -> Response {
    match good(&told.lock().unwrap(), &headers) {
        Ok(_) => Json(json!({ "login": "octo", "id": 1 })).into_response(),
        Err(answer) => answer,
    }
}

/// An app speaks by a word signed with its key: three parts, by dots.
fn is_app(headers: &HeaderMap) -> bool {
    bearer(headers).split('.').count() == 3
}

async fn app_itself(State(told): State<Arc<Mutex<Told>>>, headers: HeaderMap) -> Response {
    told.lock().unwrap().words.push(bearer(&headers));
    if is_app(&headers) { Json(json!({ "id": 42 })).into_response() } else { not_found() }
}

async fn installation(State(told): State<Arc<Mutex<Told>>>, headers: HeaderMap) -> Response {
    told.lock().unwrap().words.push(bearer(&headers));
    if is_app(&headers) { Json(json!({ "id": 7 })).into_response() } else { not_found() }
}

async fn mint(
    State(told): State<Arc<Mutex<Told>>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    if !is_app(&headers) {
        return not_found();
    }
    let mut told = told.lock().unwrap();
    told.words.push(bearer(&headers));
    let token = format!("ghs_minted_{}_{}", told.minted.len(), uuid::Uuid::now_v7().simple());
    told.minted.push((token.clone(), asked));
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    (StatusCode::CREATED, Json(json!({ "token": token, "expires_at": expires_at }))).into_response()
}

async fn end_token(State(told): State<Arc<Mutex<Told>>>, headers: HeaderMap) -> StatusCode {
    told.lock().unwrap().ended.push(bearer(&headers));
    StatusCode::NO_CONTENT
}

async fn repository(
    State(told): State<Arc<Mutex<Told>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let may_push = {
        let mut told = told.lock().unwrap();
        told.carried.push(bearer(&headers));
        match good(&told, &headers) {
            Ok(good) => matches!(good, Good::Push),
            Err(answer) => return answer,
        }
    };
    let (push, archived) = match &name[..] {
        "widget" if !may_push => (false, false),
        "widget" => (true, false),
        "read-only" => (false, false),
        "old" => (true, true),
        _ => return not_found(),
    };
    let expires = [(EXPIRES, "2099-01-31 09:00:00 UTC")];
    let body = Json(json!({
        "full_name": format!("acme/{name}"), "default_branch": "main", "private": name == "old",
        "archived": archived, "html_url": "https://forge.test/acme/widget",
        "permissions": { "pull": true, "push": push },
    }));
    (expires, body).into_response()
}

/// A page of fifty, with a link to the next one.
fn page(all: Vec<Value>, query: &[(String, String)]) -> Response {
    let page = query.iter().find(|(name, _)| name == "page");
    let page: usize = page.map_or(1, |(_, page)| page.parse().unwrap());
    let last = page * 50 >= all.len();
    let items: Vec<Value> = all.into_iter().skip((page - 1) * 50).take(50).collect();
    let next = format!("<https://forge.test/x?page={}>; rel=\"next\"", page + 1);
    if last { Json(items).into_response() } else { ([("link", next)], Json(items)).into_response() }
}

type Pairs = Query<Vec<(String, String)>>;

async fn branches(Query(query): Pairs) -> Response {
    let names = (0..120).map(|n| format!("topic/{n:03}")).chain(["main".to_owned()]);
    let all = names.map(|name| json!({ "name": name, "commit": { "sha": "0".repeat(40) } }));
    page(all.collect(), &query)
}

async fn branch(Path(name): Path<String>) -> Response {
    if name == "main" || name.starts_with("topic/") {
        return Json(json!({ "name": name, "commit": { "sha": "0".repeat(40) } })).into_response();
    }
    not_found()
}

fn an_issue(number: u64) -> Value {
    json!({ "number": number, "title": format!("Issue of the day {number}"), "body": "Words",
        "state": "open", "html_url": format!("https://forge.test/acme/widget/issues/{number}") })
}

async fn issues(Query(query): Pairs) -> Response {
    page((1..=70).rev().map(an_issue).collect(), &query)
}

async fn issue(Path(number): Path<u64>) -> Response {
    if (1..=70).contains(&number) { Json(an_issue(number)).into_response() } else { not_found() }
}

/// As GitHub does it: a conditional request for what has not changed costs nothing.
async fn pull(
    State(told): State<Arc<Mutex<Told>>>,
    Path(number): Path<u64>,
    headers: HeaderMap,
) -> Response {
    let mut told = told.lock().unwrap();
    told.asked += 1;
    if let Some(until) = told.limited_until {
        let headers =
            [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", until.to_string())];
        return (StatusCode::FORBIDDEN, headers, Json(json!({ "message": "slow" })))
            .into_response();
    }
    let Some(pull) = told.pulls.get(&number).cloned() else { return not_found() };
    let etag = format!(
        "W/\"{:x}\"",
        pull.to_string().len() + pull.to_string().bytes().map(usize::from).sum::<usize>()
    );
    if headers.get("if-none-match").is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        told.unchanged += 1;
        return (StatusCode::NOT_MODIFIED, [("etag", etag)]).into_response();
    }
    ([("etag", etag)], Json(pull)).into_response()
}

/// A pull request as GitHub describes it.
pub(crate) fn a_pull(number: u64, state: &str, draft: bool, merged: bool) -> Value {
    json!({
        "number": number, "html_url": format!("https://forge.test/acme/widget/pull/{number}"),
        "state": state, "draft": draft, "merged": merged, "body": "b",
        "merged_at": merged.then_some("2026-01-01T00:00:00Z"),
        "head": { "sha": "c".repeat(40) },
    })
}
