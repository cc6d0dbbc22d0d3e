//! Signing in at a provider, and everything that must not sign anybody in.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, failure},
    front::{Front, answered},
    idp::{Idp, Public, Signed},
};

async fn world() -> (Idp, Front) {
    let idp = Idp::start().await;
    let front = Front::at_provider(idp.issuer(), |_| {}).await;
    (idp, front)
}

/// The events of the own streams of everybody who is not the machine's user, in order.
async fn actor_events(front: &Front) -> Vec<(String, Value)> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select name, body from paddock.event where stream like 'actor-%'
           and stream <> 'actor-' || (select id from runtime.local_user) order by seq",
    )
    .fetch_all(front.world.pool())
    .await
    .unwrap();
    rows.into_iter().map(|(name, body)| (name, serde_json::from_slice(&body).unwrap())).collect()
}

async fn browsers(front: &Front) -> i64 {
    let count = sqlx::query_scalar("select count(*) from runtime.browser");
    count.fetch_one(front.world.pool()).await.unwrap()
}

#[tokio::test]
async fn somebody_signs_in_by_code_and_is_known_with_their_groups() {
    let (idp, front) = world().await;
    let browser = Browser::at(&front);
    assert_eq!(browser.me().await.status, 401);
    assert_eq!(browser.sign_in().await, "/system");
    let asked = idp.asked();
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"].len(), 43);
    assert_eq!(asked["redirect_uri"], front.url("/login/callback"));
    assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43);
    assert!(asked["scope"].split(' ').any(|scope| scope == "groups"), "{asked:?}");
    let me = browser.me().await.body;
    assert_eq!(me["name"], "alice");
    assert_eq!(me["groups"], json!(["dev"]));
    assert_eq!(me["issuer"], idp.issuer());
    assert_eq!(me["by"], "browser");
    // What bound the sign-in to this browser is gone, and there is one cookie.
    assert_eq!(browser.cookies().len(), 1, "{:?}", browser.cookies());
    let events = actor_events(&front).await;
    assert_eq!(events, [("actor.signed.in".to_owned(), json!({ "method": "oidc" }))]);
    // Another sign-in of the same person is the same person, and the browser has one sign-in.
    let id = me["id"].clone();
    let old = browser.cookies();
    browser.sign_in().await;
    assert_eq!(browser.me().await.body["id"], id);
    assert_ne!(browser.cookies(), old);
    assert_eq!(browsers(&front).await, 1);
    front.end().await;
}

/// What a test does to a token's claims.
type Change = fn(&mut Value);

/// Changes of a token's claims that must not pass, by name.
fn wrong_claims() -> Vec<(&'static str, Change)> {
    fn now() -> i64 {
        chrono::Utc::now().timestamp()
    }
    vec![
        ("another issuer", |claims| claims["iss"] = json!("https://evil.test")),
        ("the issuer with a slash", |claims| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap()));
        }),
        ("no issuer", |claims| claims["iss"] = Value::Null),
        ("another audience", |claims| claims["aud"] = json!("them")),
        ("no audience", |claims| claims["aud"] = json!([])),
        ("an audience beside us", |claims| claims["aud"] = json!(["paddock", "them"])),
        ("another authorised party", |claims| claims["azp"] = json!("them")),
        ("another nonce", |claims| claims["nonce"] = json!("n")),
        ("no nonce", |claims| {
            claims.as_object_mut().unwrap().remove("nonce");
        }),
        ("expired beyond the leeway", |claims| claims["exp"] = json!(now() - 70)),
        ("no end", |claims| {
            claims.as_object_mut().unwrap().remove("exp");
        }),
        ("issued beyond the leeway from now", |claims| claims["iat"] = json!(now() + 75)),
        ("issued long ago", |claims| claims["iat"] = json!(now() - 700)),
        ("no subject", |claims| {
            claims.as_object_mut().unwrap().remove("sub");
        }),
    ]
}

#[tokio::test]
async fn a_token_that_is_not_the_providers_for_us_for_this_sign_in_lets_nobody_in() {
    let (idp, front) = world().await;
    let refused = async |what: &str| {
        let browser = Browser::at(&front);
        let at = browser.sign_in().await;
        assert_eq!(failure(&at).as_deref(), Some("token-invalid"), "{what}: {at}");
        assert_eq!(browser.me().await.status, 401, "{what}");
        assert!(browser.cookies().is_empty(), "{what}: {:?}", browser.cookies());
    };
    for (what, change) in wrong_claims() {
        idp.claims(change);
        refused(what).await;
    }
    idp.claims(|_| {});
    for signed in [
        Signed::None,
        Signed::By(Public::Point),
        Signed::By(Public::Jwk),
        Signed::By(Public::Pem),
        Signed::BySecret,
        Signed::ByAnother,
        Signed::ByUnknown,
        Signed::Changed,
    ] {
        idp.set(|behaviour| behaviour.signed = signed);
        refused(&format!("{signed:?}")).await;
    }
    // A provider that sends the browser back in another one's name.
    idp.set(|behaviour| {
        behaviour.signed = Signed::Right;
        behaviour.iss = Some("https://evil.test".to_owned());
    });
    refused("mixed up").await;
    assert_eq!(browsers(&front).await, 0);
    assert!(actor_events(&front).await.is_empty(), "nobody is known: nothing is on a record");
    // And the same sign-in, without any of it, works.
    let issuer = idp.issuer().to_owned();
    idp.set(|behaviour| behaviour.iss = Some(issuer));
    assert_eq!(Browser::at(&front).sign_in().await, "/system");
    front.end().await;
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_no_more() {
    let (idp, front) = world().await;
    for (field, by, lets_in) in
        [("exp", -45, true), ("exp", -70, false), ("iat", 45, true), ("iat", 75, false)]
    {
        idp.claims(move |claims| claims[field] = json!(chrono::Utc::now().timestamp() + by));
        let at = Browser::at(&front).sign_in().await;
        assert_eq!(at == "/system", lets_in, "{field} {by}: {at}");
    }
    front.end().await;
}

#[tokio::test]
async fn a_sign_in_is_finished_once_and_by_the_browser_that_began_it() {
    let (_idp, front) = world().await;
    // Another browser comes with it: login CSRF.
    let (victim, attacker) = (Browser::at(&front), Browser::at(&front));
    let callback = attacker.to_the_callback().await;
    let at = victim.sent_on(&callback).await;
    assert_eq!(failure(&at).as_deref(), Some("other-browser"));
    // It is used up by that.
    let at = attacker.sent_on(&callback).await;
    assert_eq!(failure(&at).as_deref(), Some("expired"));
    // One that has a sign-in of its own under way.
    victim.to_the_callback().await;
    let callback = attacker.to_the_callback().await;
    assert_eq!(failure(&victim.sent_on(&callback).await).as_deref(), Some("other-browser"));
    // A callback that comes again.
    let browser = Browser::at(&front);
    let before = Browser::at(&front);
    let callback = browser.to_the_callback().await;
    before.take_cookies(&browser);
    assert_eq!(browser.sent_on(&callback).await, "/system");
    assert_eq!(failure(&before.sent_on(&callback).await).as_deref(), Some("expired"));
    // A state that nobody gave out, none, and one that is too old.
    for callback in ["/login/callback?code=c&state=x", "/login/callback?code=c", "/login/callback"]
    {
        assert_eq!(failure(&browser.sent_on(callback).await).as_deref(), Some("expired"));
    }
    let late = Browser::at(&front);
    let callback = late.to_the_callback().await;
    sqlx::query("update runtime.sign_in set expires_at = now() - interval '1 second'")
        .execute(front.world.pool())
        .await
        .unwrap();
    assert_eq!(failure(&late.sent_on(&callback).await).as_deref(), Some("expired"));
    front.end().await;
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_with_the_verifier_of_its_own_sign_in() {
    let (idp, front) = world().await;
    let browser = Browser::at(&front);
    let callback = browser.to_the_callback().await;
    let used = url::Url::parse(&callback).unwrap();
    let used = used.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    assert_eq!(browser.sent_on(&callback).await, "/system");
    // Injected into a sign-in that was rightly begun: a code that was used, and one that another person got.
    for code in [used, idp.code_of_another(), "made-up".to_owned()] {
        let other = Browser::at(&front);
        let callback = url::Url::parse(&other.to_the_callback().await).unwrap();
        let state =
            callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let injected = format!("/login/callback?code={code}&state={state}");
        assert_eq!(failure(&other.sent_on(&injected).await).as_deref(), Some("code-refused"));
        assert_eq!(other.me().await.status, 401);
    }
    // The provider itself refuses.
    idp.set(|behaviour| behaviour.refuses = true);
    let at = Browser::at(&front).sign_in().await;
    assert_eq!(failure(&at).as_deref(), Some("provider-refused"));
    front.end().await;
}

#[tokio::test]
async fn a_sign_in_leads_back_to_our_own_page_and_nowhere_else() {
    let (idp, front) = world().await;
    let browser = Browser::at(&front);
    for return_to in [
        "https://evil.test/",
        "//evil.test",
        "/%5Cevil.test",
        "\\\\evil.test",
        "/%09/evil.test",
        "javascript:alert(1)",
        "evil.test",
    ] {
        // A backslash comes as itself.
        let query = return_to.replace('\\', "%5C");
        let answer = browser.open(&format!("/login?return_to={query}")).await;
        assert_eq!(answer.status(), 400, "{return_to}");
        assert!(answer.headers().get("location").is_none(), "{return_to}");
    }
    assert!(browser.cookies().is_empty());
    // Where it fails, the page that explains it knows where they wanted to go.
    idp.set(|behaviour| behaviour.refuses = true);
    let at = browser.sign_in().await;
    assert_eq!(at, "/sign-in?failed=provider-refused&return_to=%2Fsystem");
    front.end().await;
}

#[tokio::test]
async fn groups_that_are_not_told_are_unknown_and_old_ones_are_not_kept() {
    let (idp, front) = world().await;
    let groups = async || {
        let browser = Browser::at(&front);
        assert_eq!(browser.sign_in().await, "/system");
        browser.me().await.body["groups"].clone()
    };
    assert_eq!(groups().await, json!(["dev"]));
    // The first browser of the same person loses them with the next sign-in.
    let first = Browser::at(&front);
    first.sign_in().await;
    let changes: [(Change, Value); 5] = [
        (|claims| claims["groups"] = json!(["ops", "dev"]), json!(["dev", "ops"])),
        (
            |claims| {
                claims["_claim_names"] = json!({ "groups": "src1" });
                claims["_claim_sources"] = json!({ "src1": { "endpoint": "https://idp.test/g" } });
            },
            Value::Null,
        ),
        (|claims| claims["hasgroups"] = json!(true), Value::Null),
        (
            |claims| {
                claims.as_object_mut().unwrap().remove("groups");
            },
            Value::Null,
        ),
        (|claims| claims["groups"] = json!([]), json!([])),
    ];
    for (change, expected) in changes {
        idp.claims(change);
        assert_eq!(groups().await, expected);
        assert_eq!(first.me().await.body["groups"], expected);
    }
    front.end().await;
}

#[tokio::test]
async fn groups_are_in_the_claim_that_is_configured_and_in_no_other() {
    let idp = Idp::start().await;
    let configured = |settings: &mut api::access::OidcSettings| {
        settings.groups_claim = "realm_access.roles".to_owned();
        settings.scopes = Some(vec!["roles".to_owned()]);
    };
    let front = Front::at_provider(idp.issuer(), configured).await;
    idp.claims(|claims| claims["realm_access"] = json!({ "roles": ["ops"] }));
    let browser = Browser::at(&front);
    assert_eq!(browser.sign_in().await, "/system");
    assert_eq!(idp.asked()["scope"], "openid roles");
    assert_eq!(browser.me().await.body["groups"], json!(["ops"]));
    // The provider's usual claim is there all the same, and is not what was configured.
    idp.claims(|claims| claims["groups"] = json!(["dev"]));
    browser.sign_in().await;
    assert_eq!(browser.me().await.body["groups"], Value::Null);
    front.end().await;
}

#[tokio::test]
async fn what_the_token_does_not_say_of_groups_the_provider_may_tell_of_the_same_person() {
    let idp = Idp::start().await;
    idp.claims(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
    });
    idp.set(|behaviour| behaviour.userinfo = Some(json!({ "sub": "alice", "groups": ["told"] })));
    let front = Front::at_provider(idp.issuer(), |_| {}).await;
    let browser = Browser::at(&front);
    browser.sign_in().await;
    assert_eq!(browser.me().await.body["groups"], json!(["told"]));
    // Of another person it tells nothing.
    idp.set(|behaviour| behaviour.userinfo = Some(json!({ "sub": "bob", "groups": ["told"] })));
    browser.sign_in().await;
    assert_eq!(browser.me().await.body["groups"], Value::Null);
    // What there is no room for in the token is not looked for elsewhere.
    idp.set(|behaviour| behaviour.userinfo = Some(json!({ "sub": "alice", "groups": ["told"] })));
    idp.claims(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
        claims["_claim_names"] = json!({ "groups": "src1" });
    });
    browser.sign_in().await;
    assert_eq!(browser.me().await.body["groups"], Value::Null);
    front.end().await;
}

#[tokio::test]
async fn while_the_provider_is_down_whoever_is_signed_in_goes_on_and_others_are_told_why_not() {
    let idp = Idp::start().await;
    idp.set(|behaviour| behaviour.down = true);
    // It is down when the server starts, which is no reason not to.
    let front = Front::at_provider(idp.issuer(), |_| {}).await;
    let browser = Browser::at(&front);
    let how = async || answered(front.http.get(front.url("/api/v1/sign-in"))).await.body;
    assert_eq!(how().await["available"], false);
    assert_eq!(how().await["method"], "oidc");
    let at = browser.sent_on("/login?return_to=/system").await;
    assert_eq!(failure(&at).as_deref(), Some("provider-unavailable"));
    idp.set(|behaviour| behaviour.down = false);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(how().await["available"], true);
    assert_eq!(browser.sign_in().await, "/system");
    // It goes down between a browser's leaving for it and its coming back.
    let late = Browser::at(&front);
    let callback = late.to_the_callback().await;
    idp.set(|behaviour| behaviour.down = true);
    let at = late.sent_on(&callback).await;
    assert_eq!(failure(&at).as_deref(), Some("provider-unavailable"));
    assert_eq!(browser.me().await.status, 200);
    let made = browser.post("/api/v1/tokens", &json!({ "name": "made meanwhile" })).await;
    assert_eq!(made.status, 201);
    front.end().await;
}

#[tokio::test]
async fn whoever_is_signed_off_is_not_let_in_and_nothing_of_theirs_works() {
    let (_idp, front) = world().await;
    let browser = Browser::at(&front);
    browser.sign_in().await;
    let made = browser.post("/api/v1/tokens", &json!({ "name": "mine" })).await.body;
    let token = made["token"].as_str().unwrap().to_owned();
    let by_token = || front.http.get(front.url("/api/v1/me")).bearer_auth(&token);
    assert_eq!(answered(by_token()).await.status, 200);
    sqlx::query("update runtime.person set disabled_at = now() where subject = 'alice'")
        .execute(front.world.pool())
        .await
        .unwrap();
    assert_eq!(browser.me().await.status, 401);
    assert_eq!(answered(by_token()).await.status, 401);
    let again = Browser::at(&front);
    assert_eq!(failure(&again.sign_in().await).as_deref(), Some("person-disabled"));
    assert_eq!(again.me().await.status, 401);
    let events = actor_events(&front).await;
    let last = events.last().unwrap();
    assert_eq!(last.0, "actor.sign_in.rejected");
    assert_eq!(last.1, json!({ "code": "person-disabled" }));
    front.end().await;
}

#[tokio::test]
async fn a_browser_that_rests_or_has_had_its_time_is_signed_out() {
    let (_idp, front) = world().await;
    let change = async |sql: &'static str| {
        sqlx::query(sql).execute(front.world.pool()).await.unwrap();
    };
    let browser = Browser::at(&front);
    browser.sign_in().await;
    change("update runtime.browser set seen_at = now() - interval '11 hours 59 minutes'").await;
    assert_eq!(browser.me().await.status, 200);
    // That it asked is that it did not rest.
    let rested = sqlx::query_scalar::<_, bool>(
        "select seen_at < now() - interval '1 hour' from runtime.browser",
    );
    assert!(!rested.fetch_one(front.world.pool()).await.unwrap());
    change("update runtime.browser set seen_at = now() - interval '12 hours 1 minute'").await;
    assert_eq!(browser.me().await.status, 401);
    browser.sign_in().await;
    change("update runtime.browser set expires_at = now() - interval '1 second'").await;
    assert_eq!(browser.me().await.status, 401);
    front.end().await;
}

#[tokio::test]
async fn where_people_sign_in_at_a_provider_there_are_no_links_and_the_local_user_is_nobody() {
    let (_idp, front) = world().await;
    // The front's own token is the local user's.
    assert_eq!(front.get("/api/v1/me").await.status, 401);
    let context = front.world.commands.context();
    let link = api::access::issue_sign_in_link(front.world.pool(), context).await.unwrap();
    let browser = Browser::at(&front);
    let answer = answered(browser.request(Method::GET, &link)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["type"], "https://paddock.dev/problems/links-not-offered");
    browser.sign_in().await;
    let answer = browser.post("/api/v1/sign-in-links", &json!({})).await;
    assert_eq!(answer.status, 403);
    front.end().await;
}

#[tokio::test]
async fn a_command_of_another_site_is_refused_however_it_comes() {
    let (_idp, front) = world().await;
    let browser = Browser::at(&front);
    browser.sign_in().await;
    let own = front.url("");
    let ask = |headers: &[(&str, &str)]| {
        let mut request =
            browser.request(Method::POST, "/api/v1/tokens").json(&json!({ "name": "x" }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(request)
    };
    for headers in [
        vec![],
        vec![("origin", "null")],
        vec![("origin", "https://evil.test")],
        vec![("origin", &*own), ("sec-fetch-site", "cross-site")],
        vec![("origin", &*own), ("sec-fetch-site", "same-site")],
    ] {
        let answer = ask(&headers).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert_eq!(answer.body["type"], "https://paddock.dev/problems/foreign-origin");
    }
    assert_eq!(ask(&[("origin", &own), ("sec-fetch-site", "same-origin")]).await.status, 201);
    front.end().await;
}
