//! Every route × role × scope × own or another's. What is expected is said here, in a table and a function of its own,
//! not taken from what is tested.

use std::collections::BTreeSet;

use domain::ids::UserId;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::front::{Answered, Front, answered};

const ROLES: [&str; 3] = ["viewer", "maintainer", "admin"];
const SCOPES: [&str; 4] = ["global", "session", "other session", "credential"];

/// What each operation takes: what it is about, and the least role.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("signIn", "public", ""),
    ("getOpenApi", "public", ""),
    ("getSchema", "public", ""),
    ("getSignIn", "public", ""),
    ("finishSignIn", "public", ""),
    ("endSignIn", "public", ""),
    ("takeCliToken", "public", ""),
    ("getMe", "anybody", ""),
    ("createCliGrant", "anybody", ""),
    ("signOut", "anybody", ""),
    ("listTokens", "anybody", ""),
    ("createToken", "anybody", ""),
    ("revokeToken", "anybody", ""),
    ("getSystem", "anybody", ""),
    ("streamEvents", "anybody", ""),
    ("listProfiles", "anybody", ""),
    ("listSessions", "anybody", ""),
    ("countSessions", "anybody", ""),
    ("listRuns", "anybody", ""),
    ("createSignInLink", "installation", "admin"),
    ("getSettings", "installation", "viewer"),
    ("listSettingsHistory", "installation", "viewer"),
    ("setLimits", "installation", "admin"),
    ("resetLimits", "installation", "admin"),
    ("setAllowList", "installation", "admin"),
    ("resetAllowList", "installation", "admin"),
    ("setProfile", "installation", "admin"),
    ("removeProfile", "installation", "admin"),
    ("setRetention", "installation", "admin"),
    ("resetRetention", "installation", "admin"),
    ("setRunEgress", "session", "maintainer"),
    ("getRepository", "repository", "maintainer"),
    ("listBranches", "repository", "maintainer"),
    ("listIssues", "repository", "maintainer"),
    ("getIssue", "repository", "maintainer"),
    ("createSession", "repository", "maintainer"),
    ("getSession", "session", "viewer"),
    ("listArtifacts", "session", "viewer"),
    ("listSessionRuns", "session", "viewer"),
    ("getArtifactContent", "session", "viewer"),
    ("renameSession", "session", "maintainer"),
    ("deleteSession", "session", "maintainer"),
    ("archiveSession", "session", "maintainer"),
    ("restoreSession", "session", "maintainer"),
    ("forkSession", "session", "maintainer"),
    ("startRun", "session", "maintainer"),
    ("getRun", "session", "viewer"),
    ("streamOutput", "session", "viewer"),
    ("getRunTranscript", "session", "viewer"),
    ("getRunPart", "session", "viewer"),
    ("listRunEvents", "session", "viewer"),
    ("getRunChanges", "session", "viewer"),
    ("listRunEgress", "session", "viewer"),
    ("cancelRun", "session", "maintainer"),
    ("interruptRun", "session", "maintainer"),
    ("finishRun", "session", "maintainer"),
    ("publishRun", "session", "maintainer"),
    ("promptRun", "session", "maintainer"),
    ("answerInput", "session", "maintainer"),
    ("listAuditEvents", "installation", "admin"),
    ("getAuditEvent", "installation", "admin"),
    ("listAuditRuns", "installation", "admin"),
    ("listBindingsAt", "installation", "admin"),
    ("exportAudit", "installation", "admin"),
    ("eraseTexts", "installation", "admin"),
    ("getCheckpoint", "anybody", ""),
    ("listAuditKeys", "anybody", ""),
    ("getTile", "anybody", ""),
    ("getInclusionProof", "anybody", ""),
    ("getConsistencyProof", "anybody", ""),
    // By its scope: here it is a session's.
    ("listRoleBindings", "session", "viewer"),
    ("grantRole", "session", "maintainer"),
    ("revokeRole", "session", "maintainer"),
    ("explainAccess", "session", "viewer"),
];

/// What a request must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// It says what is missing.
    Forbidden,
    /// It does not even say that it is there.
    Absent,
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).map_or(0, |place| place + 1)
}

/// The rules, in a few lines: a role counts where it was given; the owner of a session is its maintainer.
fn expected(about: &str, least: &str, role: &str, scope: &str, own: bool) -> Verdict {
    let global = if scope == "global" { rank(role) } else { 0 };
    match about {
        "public" | "anybody" => Verdict::Allowed,
        "installation" | "repository" if global >= rank(least) => Verdict::Allowed,
        "installation" | "repository" => Verdict::Forbidden,
        "session" => {
            let given = match scope {
                "global" => rank(role),
                "session" if !own => rank(role),
                _ => 0,
            };
            let has = if own { given.max(rank("maintainer")) } else { given };
            match has {
                0 => Verdict::Absent,
                has if has >= rank(least) => Verdict::Allowed,
                _ => Verdict::Forbidden,
            }
        }
        other => panic!("{other}"),
    }
}

/// What a request came to.
fn verdict(answer: &Answered) -> Verdict {
    let title = answer.body["title"].as_str().unwrap_or_default();
    match (answer.status.as_u16(), answer.body["type"].as_str()) {
        (403, Some("https://paddock.dev/problems/forbidden")) => {
            assert!(!answer.body["missing"]["action"].is_null(), "{}", answer.body);
            assert!(answer.body["missing"]["ask"].as_array().is_some_and(|ask| !ask.is_empty()));
            Verdict::Forbidden
        }
        (404, _)
            if ["session", "run", "artifact"]
                .iter()
                .any(|what| title == format!("There is no such {what}")) =>
        {
            Verdict::Absent
        }
        (401, _) => panic!("{}", answer.body),
        _ => Verdict::Allowed,
    }
}

/// A session of somebody's with a run.
#[derive(Clone, Copy)]
struct Place {
    session: Uuid,
    run: Uuid,
}

async fn place(front: &Front, owner: UserId) -> Place {
    let workload = front.world.admitted_of(owner).await;
    Place { session: workload.session.0, run: workload.run.0 }
}

/// The request of an operation, made so that it changes nothing: what is allowed fails on its body after that was
/// decided, or is harmless.
async fn request(front: &Front, token: &str, method: &Method, path: &str, at: Place) -> Answered {
    let id = if path.starts_with("/api/v1/runs/") { at.run } else { at.session };
    let mut body = json!({ "nonsense": true });
    let mut filled = path.replace("{id}", &id.to_string());
    match (method.as_str(), path) {
        ("POST", "/api/v1/sessions") => {
            body = json!({ "repo": "acme/widget", "base": "gone", "title": "t" });
        }
        ("POST", "/api/v1/role-bindings") => {
            let scope = format!("session:{}", at.session);
            body = json!({ "subject": "group:matrix", "role": "viewer", "scope": scope });
        }
        ("DELETE", "/api/v1/role-bindings/{id}") => {
            let scope = format!("session:{}", at.session);
            let subject = format!("group:{}", Uuid::now_v7());
            let new = json!({ "subject": subject, "role": "viewer", "scope": scope });
            let binding = front.post("/api/v1/role-bindings", &new).await;
            filled = path.replace("{id}", &binding);
            body = json!({});
        }
        ("GET", "/api/v1/role-bindings") => {
            filled = format!("{filled}?scope=session:{}", at.session)
        }
        ("GET", "/api/v1/access/explain") => {
            filled = format!("{filled}?action=run.start&resource=session:{}", at.session);
        }
        ("GET", "/api/v1/events") => filled += "?topics=system",
        ("GET", "/api/v1/runs/{id}/output") => filled += "?follow=false",
        ("GET", "/api/v1/artifacts/{id}/content") => {
            filled = filled.replace("/content", ".x/content");
        }
        _ => {}
    }
    for (name, value) in [
        ("{owner}", "acme"),
        ("{name}", "widget"),
        ("{number}", "1"),
        ("{input}", "per_1"),
        ("{part}", "prt_1"),
        ("{type}", "run.admitted"),
        ("{version}", "1"),
    ] {
        filled = filled.replace(name, value);
    }
    let request = front.http.request(method.clone(), front.url(&filled)).bearer_auth(token);
    if method == Method::GET && path == "/api/v1/events" {
        // It does not end: its head is enough.
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        return Answered { status, headers, body: Value::Null };
    }
    answered(if method == Method::GET { request } else { request.json(&body) }).await
}

fn operations() -> Vec<(String, Method, String)> {
    let description = serde_json::to_value(api::openapi()).unwrap();
    let mut all = vec![];
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            all.push((name, method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    all
}

#[test]
fn every_route_is_in_the_table_once() {
    let known: BTreeSet<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(known.len(), EXPECTED.len());
    let routes = operations();
    let missing: Vec<&String> = routes
        .iter()
        .map(|(name, ..)| name)
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "what do these take? {missing:?}");
}

#[tokio::test]
async fn every_route_for_every_role_in_every_scope_on_ones_own_and_anothers() {
    let front = Front::new().await;
    let other = place(&front, front.world.owner).await;
    let third = place(&front, front.world.owner).await;
    front.caught_up().await;
    let mut wrong = vec![];
    let mut asked = 0;
    let nobody = std::iter::once(("none", "none"));
    let given = ROLES.iter().flat_map(|role| SCOPES.iter().map(|scope| (*role, *scope)));
    for (role, scope) in nobody.chain(given) {
        let user = UserId(Uuid::now_v7());
        let token = front.token_of(user).await;
        let own = place(&front, user).await;
        if role != "none" {
            let at = match scope {
                "global" => "global".to_owned(),
                "session" => format!("session:{}", other.session),
                "other session" => format!("session:{}", third.session),
                _ => format!("credential:{}", other.session),
            };
            front.bind(&format!("user:{user}"), role, &at).await;
        }
        front.caught_up().await;
        for (name, method, path) in operations() {
            let (_, about, least) =
                EXPECTED.iter().find(|(known, ..)| *known == name).expect("it is in the table");
            // Signing out, or in, changes who asks.
            if matches!(*about, "public") || name == "signOut" {
                continue;
            }
            for (at, is_own) in [(own, true), (other, false)] {
                let expected = expected(about, least, role, scope, is_own);
                let answer = request(&front, &token, &method, &path, at).await;
                let found = verdict(&answer);
                asked += 1;
                if found != expected {
                    let whose = if is_own { "own" } else { "another's" };
                    wrong.push(format!(
                        "{name}, {role} of {scope}, {whose}: {found:?} ({} {}), not {expected:?}",
                        answer.status, answer.body
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 1_000, "{asked}");
    front.end().await;
}

#[tokio::test]
async fn a_maintainer_of_some_repositories_is_nobody_on_others() {
    let front = Front::new().await;
    let user = UserId(Uuid::now_v7());
    let token = front.token_of(user).await;
    let new = json!({
        "subject": format!("user:{user}"), "role": "maintainer", "scope": "global",
        "repositories": ["octo/*", "acme/wid"],
    });
    front.post("/api/v1/role-bindings", &new).await;
    let at = place(&front, front.world.owner).await;
    front.caught_up().await;
    let get = |path: String| front.http.get(front.url(&path)).bearer_auth(&token);
    let path = format!("/api/v1/sessions/{}", at.session);
    assert_eq!(answered(get(path.clone())).await.status, 404);
    let listed = answered(get("/api/v1/sessions".to_owned())).await.body;
    assert_eq!(listed["items"], json!([]));
    assert_eq!(answered(get("/api/v1/sessions/counts".to_owned())).await.body["working"], 0);
    let listed = answered(get("/api/v1/runs".to_owned())).await.body;
    assert_eq!(listed["items"], json!([]));
    let create = front.http.post(front.url("/api/v1/sessions")).bearer_auth(&token);
    let answer = answered(create.json(&json!({ "repo": "acme/widget", "title": "t" }))).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["missing"]["action"], "session.create");
    // With the right pattern it is all there.
    let new = json!({
        "subject": format!("user:{user}"), "role": "viewer", "scope": format!("session:{}", at.session),
    });
    front.post("/api/v1/role-bindings", &new).await;
    let session = answered(get(path)).await;
    assert_eq!((session.status.as_u16(), &session.body["role"]), (200, &json!("viewer")));
    assert_eq!(session.body["allowed_actions"], json!([]), "a viewer's page offers nothing");
    assert_eq!(session.body["active_run"]["allowed_actions"], json!([]));
    assert_eq!(answered(get("/api/v1/sessions/counts".to_owned())).await.body["working"], 1);
    front.end().await;
}
