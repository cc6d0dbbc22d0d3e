use std::{path::PathBuf, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Forge, answers, git, state::Pull};

type Shared = State<Arc<Forge>>;

/// Whether a request carries the token, as git or as a REST client sends it.
pub(super) fn has_token(forge: &Forge, headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let (scheme, rest) = value.split_once(' ').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => rest == forge.token,
        "basic" => base64::engine::general_purpose::STANDARD
            .decode(rest)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .is_some_and(|pair| {
                pair.split_once(':').is_some_and(|(_, token)| token == forge.token)
            }),
        _ => false,
    }
}

/// An answer with GitHub's rate-limit headers.
fn answer(status: StatusCode, body: Value) -> Response {
    let headers = [
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("x-ratelimit-reset", "4102444800"),
        ("x-ratelimit-used", "1"),
        ("x-ratelimit-resource", "core"),
        ("x-github-request-id", "0000:0000:0000"),
    ];
    (status, headers, Json(body)).into_response()
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let docs = "https://docs.github.com/rest";
    answer(
        status,
        json!({ "message": message, "documentation_url": docs, "status": status.as_u16().to_string() }),
    )
}

/// What every route begins with: the token, and the repository.
fn opened(
    forge: &Forge,
    headers: &HeaderMap,
    owner: &str,
    name: &str,
) -> Result<PathBuf, Box<Response>> {
    if !has_token(forge, headers) {
        return Err(Box::new(refusal(StatusCode::UNAUTHORIZED, "Bad credentials")));
    }
    forge
        .repository(owner, name)
        .ok_or_else(|| Box::new(refusal(StatusCode::NOT_FOUND, "Not Found")))
}

pub(super) async fn user(State(forge): Shared, headers: HeaderMap) -> Response {
    if has_token(&forge, &headers) {
        answer(StatusCode::OK, answers::caller(&forge))
    } else {
        refusal(StatusCode::UNAUTHORIZED, "Bad credentials")
    }
}

pub(super) async fn repository(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    match opened(&forge, &headers, &owner, &name) {
        Ok(_) => answer(StatusCode::OK, answers::repository(&forge, &owner, &name)),
        Err(refused) => *refused,
    }
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    per_page: Option<usize>,
    page: Option<usize>,
    head: Option<String>,
    base: Option<String>,
    state: Option<String>,
}

/// A page of items, with a `Link` to the next.
fn paged(forge: &Forge, path: &str, query: &PageQuery, items: Vec<Value>) -> Response {
    let per_page = query.per_page.unwrap_or(30).clamp(1, 100);
    let number = query.page.unwrap_or(1).max(1);
    let more = items.len() > per_page * number;
    let items: Vec<Value> =
        items.into_iter().skip(per_page * (number - 1)).take(per_page).collect();
    let mut response = answer(StatusCode::OK, Value::from(items));
    if more {
        let next = format!(
            "<{}/api/v3{path}?per_page={per_page}&page={}>; rel=\"next\"",
            forge.url,
            number + 1
        );
        if let Ok(value) = next.parse() {
            response.headers_mut().insert(header::LINK, value);
        }
    }
    response
}

pub(super) async fn branches(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
) -> Response {
    let dir = match opened(&forge, &headers, &owner, &name) {
        Ok(dir) => dir,
        Err(refused) => return *refused,
    };
    let repo = format!("{owner}/{name}");
    let listed =
        git(&dir, &["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"])
            .await;
    let listed = listed.unwrap_or_default();
    let items = listed.lines().filter_map(|line| line.split_once(' '));
    let items = items.map(|(branch, sha)| answers::branch(&forge, &repo, branch, sha)).collect();
    paged(&forge, &format!("/repos/{repo}/branches"), &query, items)
}

pub(super) async fn branch(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Response {
    let dir = match opened(&forge, &headers, &owner, &name) {
        Ok(dir) => dir,
        Err(refused) => return *refused,
    };
    match sha_of(&dir, &branch).await {
        Some(sha) => {
            let repo = format!("{owner}/{name}");
            answer(StatusCode::OK, answers::whole_branch(&forge, &repo, &branch, &sha))
        }
        None => refusal(StatusCode::NOT_FOUND, "Branch not found"),
    }
}

async fn sha_of(dir: &PathBuf, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    let sha = git(dir, &["rev-parse", "--verify", "--quiet", &name]).await.ok()?;
    Some(sha.trim().to_owned())
}

pub(super) async fn issues(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
) -> Response {
    if let Err(refused) = opened(&forge, &headers, &owner, &name) {
        return *refused;
    }
    let repo = format!("{owner}/{name}");
    let kept = forge.kept();
    let own = kept.issues.iter().filter(|issue| issue.repo == repo);
    let items = own.map(|issue| answers::issue(&forge, issue)).collect();
    paged(&forge, &format!("/repos/{repo}/issues"), &query, items)
}

pub(super) async fn issue(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    if let Err(refused) = opened(&forge, &headers, &owner, &name) {
        return *refused;
    }
    let repo = format!("{owner}/{name}");
    let kept = forge.kept();
    match kept.issues.iter().find(|issue| issue.repo == repo && issue.number == number) {
        Some(issue) => answer(StatusCode::OK, answers::issue(&forge, issue)),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

#[derive(Deserialize)]
pub(super) struct NewPull {
    title: Option<String>,
    body: Option<String>,
    head: Option<String>,
    base: Option<String>,
    #[serde(default)]
    draft: bool,
}

pub(super) async fn create_pull(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name)): Path<(String, String)>,
    Json(new): Json<NewPull>,
) -> Response {
    let dir = match opened(&forge, &headers, &owner, &name) {
        Ok(dir) => dir,
        Err(refused) => return *refused,
    };
    let repo = format!("{owner}/{name}");
    let (Some(title), Some(head), Some(base)) = (new.title, new.head, new.base) else {
        return invalid("missing_field", "title");
    };
    let head = head.rsplit_once(':').map_or(head.clone(), |(_, branch)| branch.to_owned());
    if sha_of(&dir, &base).await.is_none() {
        return invalid("invalid", "base");
    }
    if sha_of(&dir, &head).await.is_none() {
        return invalid("invalid", "head");
    }
    let range = format!("refs/heads/{base}..refs/heads/{head}");
    let ahead = git(&dir, &["rev-list", "--count", &range]).await.unwrap_or_default();
    if ahead.trim() == "0" {
        return custom(&format!("No commits between {base} and {head}"));
    }
    let kept = forge.kept();
    let same = |pull: &&Pull| pull.repo == repo && pull.head == head && pull.base == base;
    if kept.pulls.iter().any(|pull| same(&pull)) {
        return custom(&format!("A pull request already exists for {owner}:{head}."));
    }
    let made = forge.change(|kept| {
        let pull = Pull {
            number: kept.next_number(&repo),
            repo: repo.clone(),
            title,
            body: new.body,
            head,
            base,
            draft: new.draft,
            created_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        };
        kept.pulls.push(pull.clone());
        pull
    });
    match made {
        Ok(pull) => answer(StatusCode::CREATED, whole(&forge, &dir, &pull).await),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn invalid(code: &str, field: &str) -> Response {
    let errors = json!([{ "resource": "PullRequest", "field": field, "code": code }]);
    let body = json!({ "message": "Validation Failed", "errors": errors, "documentation_url": "https://docs.github.com/rest" });
    answer(StatusCode::UNPROCESSABLE_ENTITY, body)
}

fn custom(message: &str) -> Response {
    let errors = json!([{ "resource": "PullRequest", "code": "custom", "message": message }]);
    let body = json!({ "message": "Validation Failed", "errors": errors, "documentation_url": "https://docs.github.com/rest" });
    answer(StatusCode::UNPROCESSABLE_ENTITY, body)
}

async fn whole(forge: &Forge, dir: &PathBuf, pull: &Pull) -> Value {
    let head = sha_of(dir, &pull.head).await.unwrap_or_default();
    let base = sha_of(dir, &pull.base).await.unwrap_or_default();
    answers::pull(forge, pull, &head, &base)
}

pub(super) async fn pulls(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
) -> Response {
    let dir = match opened(&forge, &headers, &owner, &name) {
        Ok(dir) => dir,
        Err(refused) => return *refused,
    };
    let repo = format!("{owner}/{name}");
    let branch =
        query.head.as_deref().map(|head| head.rsplit_once(':').map_or(head, |(_, branch)| branch));
    let open = query.state.as_deref() != Some("closed");
    let mut items = Vec::new();
    for pull in forge.kept().pulls.iter().rev() {
        let fits = open
            && pull.repo == repo
            && branch.is_none_or(|head| pull.head == head)
            && query.base.as_deref().is_none_or(|base| pull.base == base);
        if fits {
            items.push(whole(&forge, &dir, pull).await);
        }
    }
    paged(&forge, &format!("/repos/{repo}/pulls"), &query, items)
}

fn find(forge: &Forge, owner: &str, name: &str, number: u64) -> Option<(PathBuf, Pull)> {
    let repo = format!("{owner}/{name}");
    let dir = forge.repository(owner, name)?;
    let kept = forge.kept();
    let pull = kept.pulls.into_iter().find(|pull| pull.repo == repo && pull.number == number)?;
    Some((dir, pull))
}

pub(super) async fn pull(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    if let Err(refused) = opened(&forge, &headers, &owner, &name) {
        return *refused;
    }
    match find(&forge, &owner, &name, number) {
        Some((dir, pull)) => answer(StatusCode::OK, whole(&forge, &dir, &pull).await),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

pub(super) async fn contents(
    State(forge): Shared,
    headers: HeaderMap,
    Path((owner, name, _path)): Path<(String, String, String)>,
) -> Response {
    match opened(&forge, &headers, &owner, &name) {
        // The sample repository has no template for pull requests.
        Ok(_) => refusal(StatusCode::NOT_FOUND, "Not Found"),
        Err(refused) => *refused,
    }
}

/// A pull request for people: its page, without a token, as a public repository's.
pub(super) async fn page_of(dir: &PathBuf, pull: &Pull) -> String {
    let range = format!("refs/heads/{}...refs/heads/{}", pull.base, pull.head);
    let diff =
        git(dir, &["diff", "--no-ext-diff", "--no-textconv", &range]).await.unwrap_or_default();
    let text = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<!doctype html><meta charset=utf-8><title>#{0} {1}</title>\
         <style>body{{font:16px system-ui;max-width:60rem;margin:2rem auto}}pre{{background:#f6f8fa;padding:1rem;overflow:auto}}</style>\
         <h1>{1} #{0}</h1><p>{2} wants to be merged into {3} of {4}</p><pre>{5}</pre><h2>Changes</h2><pre>{6}</pre>",
        pull.number,
        text(&pull.title),
        text(&pull.head),
        text(&pull.base),
        text(&pull.repo),
        text(pull.body.as_deref().unwrap_or_default()),
        text(&diff),
    )
}

pub(super) async fn page(
    State(forge): Shared,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    match find(&forge, &owner, &name, number) {
        Some((dir, pull)) => Html(page_of(&dir, &pull).await).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
