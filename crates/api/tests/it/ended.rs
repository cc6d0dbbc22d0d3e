//! What ends when a right ends: requests at once, live streams within five seconds.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    browser::Browser,
    front::{Answered, Front, answered},
    idp::{Idp, Signed},
    sse::Events,
};

/// After this, a stream of somebody who may no longer read has ended.
const SOON: Duration = Duration::from_secs(5);

async fn world() -> (Idp, Front) {
    let idp = Idp::start().await;
    let front = Front::at_provider(idp.issuer(), |_| {}).await;
    (idp, front)
}

/// The two live streams that somebody has open on a run.
struct Streams(Vec<Events>);

impl Streams {
    async fn open(request: impl Fn(&str) -> RequestBuilder, run: &str) -> Self {
        let topics = format!("/api/v1/events?topics=sessions,run:{run},output:{run}");
        let mut open = vec![];
        for path in [topics, format!("/api/v1/runs/{run}/output")] {
            open.push(Events::of(request(&path).send().await.unwrap()));
        }
        Self(open)
    }

    /// Whether they end within five seconds.
    async fn end(self) -> bool {
        let until = Instant::now() + SOON;
        for mut events in self.0 {
            let ended = async { while events.next().await.is_some() {} };
            if tokio::time::timeout_at(until, ended).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether they go on for longer than that.
    async fn go_on(&mut self) -> bool {
        let all = futures::future::join_all(self.0.iter_mut().map(|events| async move {
            let ended = async { while events.next().await.is_some() {} };
            timeout(SOON + Duration::from_secs(1), ended).await.is_err()
        }));
        all.await.into_iter().all(|goes_on| goes_on)
    }
}

async fn back_channel(front: &Front, token: &str) -> Answered {
    let form = [("logout_token", token)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = front.http.post(front.url("/logout/backchannel"));
    answered(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

#[tokio::test]
async fn live_streams_end_with_the_sign_in_and_others_go_on() {
    let (_idp, front) = world().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run.to_string();
    let (one, other) = (Browser::at(&front), Browser::at(&front));
    one.sign_in().await;
    other.sign_in().await;
    let streams = Streams::open(|path| one.request(Method::GET, path), &run).await;
    let mut others = Streams::open(|path| other.request(Method::GET, path), &run).await;
    let out = one.post("/api/v1/sign-out", &json!({})).await;
    assert!(out.status.is_success(), "{}", out.body);
    assert_eq!(one.me().await.status, 401);
    assert!(streams.end().await, "the streams of who signed out");
    assert!(others.go_on().await, "the streams of another browser");
    front.end().await;
}

#[tokio::test]
async fn live_streams_end_with_the_token() {
    let (_idp, front) = world().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run.to_string();
    let browser = Browser::at(&front);
    browser.sign_in().await;
    let made = browser.post("/api/v1/tokens", &json!({ "name": "to be revoked" })).await.body;
    let token = made["token"].as_str().unwrap().to_owned();
    let by_token = |path: &str| front.http.get(front.url(path)).bearer_auth(&token);
    let streams = Streams::open(by_token, &run).await;
    let mut own = Streams::open(|path| browser.request(Method::GET, path), &run).await;
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let revoke = browser.request(Method::DELETE, &path).header("origin", front.url(""));
    assert_eq!(answered(revoke).await.status, 204);
    assert_eq!(answered(by_token("/api/v1/me")).await.status, 401);
    assert!(streams.end().await, "the streams of the token");
    assert!(own.go_on().await, "the streams of its owner's browser");
    front.end().await;
}

#[tokio::test]
async fn what_a_group_gave_goes_with_the_group_for_every_browser_and_token_of_the_person() {
    let (idp, front) = world().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run.to_string();
    let path = format!("/api/v1/runs/{run}");
    // The group is that of the admins.
    let browser = Browser::at(&front);
    browser.sign_in().await;
    let made = browser.post("/api/v1/tokens", &json!({ "name": "t" })).await.body;
    let token = made["token"].as_str().unwrap().to_owned();
    let by_browser = |path: &str| browser.request(Method::GET, path);
    let by_token = |path: &str| front.http.get(front.url(path)).bearer_auth(&token);
    assert_eq!(answered(by_browser(&path)).await.status, 200);
    assert_eq!(answered(by_token(&path)).await.status, 200);
    let streams = Streams::open(by_browser, &run).await;
    let of_token = Streams::open(by_token, &run).await;
    // They sign in anew elsewhere, and the provider tells no groups.
    idp.claims(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
    });
    Browser::at(&front).sign_in().await;
    for request in [by_browser(&path), by_token(&path)] {
        assert_eq!(answered(request).await.status, 404, "it is not even said that it is there");
    }
    let until = Instant::now() + SOON;
    assert!(streams.end().await && of_token.end().await, "what was open goes on");
    assert!(Instant::now() < until, "within five seconds, all of them");
    front.end().await;
}

#[tokio::test]
async fn live_streams_end_whichever_process_took_the_right() {
    let (_idp, front) = world().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run.to_string();
    let browser = Browser::at(&front);
    browser.sign_in().await;
    for sql in [
        "delete from runtime.browser",
        "update runtime.person set disabled_at = now()",
        "update runtime.browser set seen_at = now() - interval '13 hours'",
    ] {
        browser.sign_in().await;
        let streams = Streams::open(|path| browser.request(Method::GET, path), &run).await;
        // As another replica does it: nothing in this process is told.
        sqlx::query(sql).execute(front.world.pool()).await.unwrap();
        assert!(streams.end().await, "{sql}");
        sqlx::query("update runtime.person set disabled_at = null")
            .execute(front.world.pool())
            .await
            .unwrap();
    }
    front.end().await;
}

#[tokio::test]
async fn the_provider_signs_people_out_and_their_live_streams_end() {
    let (idp, front) = world().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run.to_string();
    let (alice, bob) = (Browser::at(&front), Browser::at(&front));
    alice.sign_in().await;
    idp.set(|behaviour| behaviour.subject = "bob".to_owned());
    bob.sign_in().await;
    let streams = Streams::open(|path| alice.request(Method::GET, path), &run).await;
    let token = idp.logout_token(Signed::Right, |claims| {
        claims["sub"] = json!("alice");
        claims["sid"] = json!("sid of alice");
    });
    let answer = back_channel(&front, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(alice.me().await.status, 401);
    assert!(streams.end().await, "the streams of who was signed out");
    assert_eq!(bob.me().await.status, 200);
    // By the sign-in's name alone, and by the person's alone.
    let by_sid = idp.logout_token(Signed::Right, |claims| {
        claims.as_object_mut().unwrap().remove("sub");
        claims["sid"] = json!("sid of bob");
    });
    assert_eq!(back_channel(&front, &by_sid).await.status, 200);
    assert_eq!(bob.me().await.status, 401);
    bob.sign_in().await;
    let by_sub = idp.logout_token(Signed::Right, |_| {});
    assert_eq!(back_channel(&front, &by_sub).await.status, 200);
    assert_eq!(bob.me().await.status, 401);
    // The same again, after they have signed in again.
    bob.sign_in().await;
    let again = back_channel(&front, &by_sub).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.body["errors"][0]["field"], "logout_token");
    assert_eq!(bob.me().await.status, 200);
    front.end().await;
}

#[tokio::test]
async fn a_logout_token_that_is_not_the_providers_signs_nobody_out() {
    let (idp, front) = world().await;
    let browser = Browser::at(&front);
    browser.sign_in().await;
    let now = chrono::Utc::now().timestamp();
    let changes: Vec<(&str, Value)> = vec![
        ("iss", json!("https://evil.test")),
        ("aud", json!("them")),
        ("aud", json!([])),
        ("iat", json!(now + 120)),
        ("iat", json!(now - 3_600)),
        ("exp", json!(now - 120)),
        ("events", json!({})),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": 1 })),
        ("events", Value::Null),
        ("nonce", json!("n")),
        ("jti", json!("")),
        ("jti", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("bob")),
    ];
    for (field, value) in changes {
        let token = idp.logout_token(Signed::Right, |claims| claims[field] = value.clone());
        let answer = back_channel(&front, &token).await;
        // Of somebody who is not signed in there is nothing to end.
        let expected = if value == "bob" { 200 } else { 400 };
        assert_eq!(answer.status, expected, "{field} = {value}: {}", answer.body);
        assert_eq!(browser.me().await.status, 200, "{field} = {value}");
    }
    for signed in [
        Signed::None,
        Signed::By(crate::idp::Public::Point),
        Signed::By(crate::idp::Public::Jwk),
        Signed::By(crate::idp::Public::Pem),
        Signed::BySecret,
        Signed::ByAnother,
        Signed::ByUnknown,
        Signed::Changed,
    ] {
        let answer = back_channel(&front, &idp.logout_token(signed, |_| {})).await;
        assert_eq!(answer.status, 400, "{signed:?}");
    }
    for garbage in ["", "x", "a.b.c", "..", &"x".repeat(20_000)] {
        assert_eq!(back_channel(&front, garbage).await.status, 400, "{garbage:.20}");
    }
    let json =
        front.http.post(front.url("/logout/backchannel")).json(&json!({ "logout_token": "x" }));
    assert_eq!(answered(json).await.status, 400);
    assert_eq!(browser.me().await.status, 200);
    front.end().await;
}
