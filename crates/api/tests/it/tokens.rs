//! API tokens: what they may do, and how a command line gets one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    browser::Browser,
    front::{Answered, Front, answered},
    idp::Idp,
    sse::Events,
};

async fn signed_in() -> (Idp, Front, Browser) {
    let idp = Idp::start().await;
    let front = Front::at_provider(idp.issuer(), |_| {}).await;
    let browser = Browser::at(&front);
    browser.sign_in().await;
    (idp, front, browser)
}

async fn ask(front: &Front, token: &str, method: Method, path: &str, body: Value) -> Answered {
    answered(front.http.request(method, front.url(path)).bearer_auth(token).json(&body)).await
}

async fn get(front: &Front, token: &str, path: &str) -> Answered {
    answered(front.http.get(front.url(path)).bearer_auth(token)).await
}

async fn make(browser: &Browser, body: Value) -> String {
    let made = browser.post("/api/v1/tokens", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.headers["cache-control"], "no-store");
    made.body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_shown_once_kept_as_a_digest_and_says_when_it_was_used() {
    let (_idp, front, browser) = signed_in().await;
    let token = make(&browser, json!({ "name": "ci", "expires_in_days": 7 })).await;
    assert!(token.starts_with("pdk_") && token.len() == 68);
    let list = async || answered(browser.request(Method::GET, "/api/v1/tokens")).await.body;
    let item = list().await["items"][0].clone();
    assert_eq!(item["name"], "ci");
    assert_eq!(item["last_used_at"], Value::Null);
    assert_eq!(item["current"], false);
    assert!(!list().await.to_string().contains(&token[4..]));
    let stored: String =
        sqlx::query_scalar("select t::text from runtime.api_token t where name = 'ci'")
            .fetch_one(front.world.pool())
            .await
            .unwrap();
    assert!(!stored.contains(&token[4..]));
    let me = get(&front, &token, "/api/v1/me").await.body;
    assert_eq!((&me["by"], &me["name"]), (&json!("token"), &json!("alice")));
    let used = list().await["items"][0]["last_used_at"].clone();
    assert!(used.is_string());
    // To the minute: it is not written down at every request.
    get(&front, &token, "/api/v1/me").await;
    assert_eq!(list().await["items"][0]["last_used_at"], used);
    for (days, field) in [(0, "expires_in_days"), (366, "expires_in_days")] {
        let bad =
            browser.post("/api/v1/tokens", &json!({ "name": "x", "expires_in_days": days })).await;
        assert_eq!((bad.status.as_u16(), &bad.body["errors"][0]["field"]), (422, &json!(field)));
    }
    sqlx::query("update runtime.api_token set expires_at = now() - interval '1 second'")
        .execute(front.world.pool())
        .await
        .unwrap();
    assert_eq!(get(&front, &token, "/api/v1/me").await.status, 401);
    front.end().await;
}

#[tokio::test]
async fn a_token_does_no_more_than_its_scope() {
    let (_idp, front, browser) = signed_in().await;
    let (own, _sidecar) = front.world.running().await;
    let (other, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let new = json!({ "repo": "acme/widget", "title": "x" });
    let reads = make(&browser, json!({ "name": "reads", "scope": { "role": "viewer" } })).await;
    assert_eq!(get(&front, &reads, "/api/v1/sessions").await.status, 200);
    let refused = ask(&front, &reads, Method::POST, "/api/v1/sessions", new.clone()).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body["type"], "https://paddock.dev/problems/token-scope");
    assert_eq!(
        ask(&front, &reads, Method::POST, "/api/v1/tokens", json!({ "name": "x" })).await.status,
        403
    );
    let scope = json!({ "session": own.session.to_string() });
    let narrow = make(&browser, json!({ "name": "narrow", "scope": scope })).await;
    let session = |id: String| format!("/api/v1/sessions/{id}");
    for (path, status) in [
        (session(own.session.to_string()), 200),
        (format!("/api/v1/runs/{}", own.run), 200),
        (format!("/api/v1/runs/{}/events", own.run), 200),
        ("/api/v1/me".to_owned(), 200),
        (session(other.session.to_string()), 403),
        (format!("/api/v1/runs/{}", other.run), 403),
        (format!("/api/v1/runs/{}/output", other.run), 403),
        ("/api/v1/sessions".to_owned(), 403),
        ("/api/v1/runs".to_owned(), 403),
        ("/api/v1/events?topics=sessions".to_owned(), 403),
        ("/api/v1/tokens".to_owned(), 403),
    ] {
        assert_eq!(get(&front, &narrow, &path).await.status, status, "{path}");
    }
    let fork = format!("{}/fork", session(own.session.to_string()));
    assert_eq!(ask(&front, &narrow, Method::POST, &fork, json!({})).await.status, 403);
    for scope in [json!({ "role": "admin" }), json!({ "role": "" }), json!({ "colour": "red" })] {
        let bad = browser.post("/api/v1/tokens", &json!({ "name": "x", "scope": scope })).await;
        assert_eq!(bad.status, 422, "{scope}");
    }
    let gone = json!({ "session": uuid::Uuid::now_v7() });
    let bad = browser.post("/api/v1/tokens", &json!({ "name": "x", "scope": gone })).await;
    assert_eq!(bad.status, 422);
    front.end().await;
}

#[tokio::test]
async fn a_token_gives_on_no_more_than_it_has() {
    let (_idp, front, browser) = signed_in().await;
    let token = make(&browser, json!({ "name": "t", "expires_in_days": 10 })).await;
    let ask = async |token: &str, body: Value| {
        ask(&front, token, Method::POST, "/api/v1/tokens", body).await
    };
    let longer = ask(&token, json!({ "name": "x", "expires_in_days": 11 })).await;
    assert_eq!(longer.status, 403);
    assert_eq!(longer.body["errors"][0]["field"], "expires_in_days");
    // Where nothing is said it is as long as that can be.
    let unsaid = ask(&token, json!({ "name": "x" })).await;
    assert_eq!(unsaid.status, 201, "{}", unsaid.body);
    let days = unsaid.body["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>();
    assert!(days.unwrap() <= chrono::Utc::now() + chrono::TimeDelta::days(10));
    let narrower = json!({ "name": "x", "expires_in_days": 5, "scope": { "role": "viewer" } });
    let narrowed = ask(&token, narrower.clone()).await.body["token"].as_str().unwrap().to_owned();
    // One that is narrowed gives on nothing at all, and ends none.
    for scope in [json!({ "role": "viewer" }), json!({ "role": "maintainer" })] {
        let own = make(&browser, json!({ "name": "n", "scope": scope })).await;
        assert_eq!(ask(&own, narrower.clone()).await.status, 403, "{scope}");
    }
    let listed = get(&front, &narrowed, "/api/v1/tokens").await.body;
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let end = format!("/api/v1/tokens/{id}");
    assert_eq!(self::ask(&front, &narrowed, Method::DELETE, &end, Value::Null).await.status, 403);
    // The refusals are on the owner's record.
    let refusals: i64 = sqlx::query_scalar(
        "select count(*) from paddock.event where name = 'actor.command.refused'",
    )
    .fetch_one(front.world.pool())
    .await
    .unwrap();
    assert!(refusals >= 1, "{refusals}");
    front.end().await;
}

#[tokio::test]
async fn an_admin_sees_everybodys_tokens_and_ends_them_and_nobody_else_does() {
    let (idp, front, admin) = signed_in().await;
    idp.set(|behaviour| behaviour.subject = "bob".to_owned());
    idp.claims(|claims| claims["groups"] = json!([]));
    let bob = Browser::at(&front);
    bob.sign_in().await;
    let token = make(&bob, json!({ "name": "of bob" })).await;
    make(&admin, json!({ "name": "of the admin" })).await;
    let list = async |browser: &Browser, query: &str| {
        answered(browser.request(Method::GET, &format!("/api/v1/tokens{query}"))).await
    };
    let revoke = async |browser: &Browser, id: &str| {
        let path = format!("/api/v1/tokens/{id}");
        answered(browser.request(Method::DELETE, &path).header("origin", front.url(""))).await
    };
    let named = |listed: &Answered, name: &str| {
        let items = listed.body["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["name"] == name).unwrap_or_default()
    };
    let all = list(&admin, "?owner=all").await;
    let (bobs, admins) = (named(&all, "of bob"), named(&all, "of the admin"));
    assert_eq!(
        (&bobs["owner"]["name"], &admins["owner"]["name"]),
        (&json!("bob"), &json!("alice"))
    );
    let (bobs_id, admins_id) = (bobs["id"].as_str().unwrap(), admins["id"].as_str().unwrap());
    let person = |item: &Value| format!("?owner={}", item["owner"]["id"].as_str().unwrap());
    let of_bob = list(&admin, &person(&bobs)).await;
    assert_eq!(of_bob.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(list(&admin, "").await.body["items"].as_array().unwrap().len(), 1, "one's own");
    assert_eq!(list(&admin, "?owner=bob").await.status, 400);
    // Whoever is no admin has their own.
    assert_eq!(list(&bob, &person(&bobs)).await.status, 200);
    for query in ["?owner=all", &person(&admins)] {
        let refused = list(&bob, query).await;
        assert_eq!(refused.status, 403, "{query}");
        assert_eq!(refused.body["missing"]["action"], "token.list-all");
    }
    let refused = revoke(&bob, admins_id).await;
    let nothing = revoke(&bob, &uuid::Uuid::now_v7().to_string()).await;
    assert_eq!((refused.status.as_u16(), &refused.body), (404, &nothing.body), "not told apart");
    let refusals = "select count(*) from paddock.event where name = 'actor.command.refused'";
    let refusals: i64 = sqlx::query_scalar(refusals).fetch_one(front.world.pool()).await.unwrap();
    assert_eq!(refusals, 1, "that they tried is on their record");
    // An admin's token that is narrowed is no admin.
    let narrowed = make(&admin, json!({ "name": "n", "scope": { "role": "maintainer" } })).await;
    assert_eq!(get(&front, &narrowed, "/api/v1/tokens?owner=all").await.status, 403);
    // The admin ends it: at once for requests, within five seconds for what is open.
    let request = front.http.get(front.url("/api/v1/events?topics=sessions")).bearer_auth(&token);
    let mut events = Events::of(request.send().await.unwrap());
    assert_eq!(revoke(&admin, bobs_id).await.status, 204);
    assert_eq!(get(&front, &token, "/api/v1/me").await.status, 401);
    let ended = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
    assert_eq!(revoke(&admin, bobs_id).await.status, 404, "it is ended");
    // On the owner's record, by the admin.
    let (stream, actor): (String, String) = sqlx::query_as(
        "select stream, actor from paddock.event where name = 'actor.token.revoked'",
    )
    .fetch_one(front.world.pool())
    .await
    .unwrap();
    assert_eq!(stream, format!("actor-{}", bobs["owner"]["id"].as_str().unwrap()));
    assert!(actor.contains(admins["owner"]["id"].as_str().unwrap()), "{actor}");
    front.end().await;
}

#[tokio::test]
async fn a_command_line_gets_its_token_by_code_and_verifier_once() {
    let (_idp, front, browser) = signed_in().await;
    let verifier = "v".repeat(43);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let grant = async || {
        let body = json!({ "challenge": challenge, "name": "paddock login on here", "expires_in_days": 3 });
        let granted = browser.post("/api/v1/cli-grants", &body).await;
        assert_eq!(granted.status, 201, "{}", granted.body);
        granted.body["code"].as_str().unwrap().to_owned()
    };
    let take = async |code: &str, verifier: &str| {
        let body = json!({ "code": code, "verifier": verifier });
        answered(front.http.post(front.url("/api/v1/cli-tokens")).json(&body)).await
    };
    let code = grant().await;
    let taken = take(&code, &verifier).await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    let token = taken.body["token"].as_str().unwrap().to_owned();
    assert_eq!(get(&front, &token, "/api/v1/me").await.body["name"], "alice");
    assert_eq!(take(&code, &verifier).await.status, 401, "used before");
    // A code that somebody saw is nothing without the verifier, and is used up by the try.
    let code = grant().await;
    assert_eq!(take(&code, "another's").await.status, 401);
    assert_eq!(take(&code, &verifier).await.status, 401);
    let code = grant().await;
    sqlx::query("update runtime.cli_grant set expires_at = now() - interval '1 second'")
        .execute(front.world.pool())
        .await
        .unwrap();
    assert_eq!(take(&code, &verifier).await.status, 401, "too old");
    // A token lets nobody in.
    let body = json!({ "challenge": challenge, "name": "x" });
    assert_eq!(ask(&front, &token, Method::POST, "/api/v1/cli-grants", body).await.status, 403);
    let bad = browser.post("/api/v1/cli-grants", &json!({ "challenge": "x", "name": "x" })).await;
    assert_eq!((bad.status.as_u16(), &bad.body["errors"][0]["field"]), (422, &json!("challenge")));
    // Whoever guesses is stopped.
    let mut statuses = vec![];
    for _ in 0..40 {
        statuses.push(take("guess", "x").await.status.as_u16());
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    front.end().await;
}
