//! Credentials: registered, verified, chosen, handed out, rotated, revoked; and never seen.

use std::process::Command;

use domain::{
    credential::Kind,
    event::Event,
    ids::{RunId, StreamVersion, UserId},
    run,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    forge::Good,
    front::{Answered, Front, answered},
    world::Workload,
};

fn token() -> String {
    format!("github_pat_canary_{}", Uuid::now_v7().simple())
}

async fn add(front: &Front, name: &str, value: &str) -> String {
    let new = json!({ "name": name, "value": value, "repo": "acme/widget" });
    front.post("/api/v1/credentials", &new).await
}

async fn shown(front: &Front, id: &str) -> Value {
    front.read(&format!("/api/v1/credentials/{id}")).await
}

/// What a gateway is answered for a run.
async fn handed(front: &Front, gateway: &str, run: &str) -> (StatusCode, Value) {
    let url = format!("{gateway}/gateway/v1/credential");
    let ask = front.http.post(url).bearer_auth("t").json(&json!({ "run": run }));
    let answer = ask.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// A run with a credential.
async fn admitted(front: &Front, credential: &str) -> Workload {
    let credential = credential.parse().unwrap();
    front.world.admitted_with(|requested| requested.credential = Some(credential)).await
}

async fn session(front: &Front) -> String {
    front.post("/api/v1/sessions", &json!({ "repo": "acme/widget", "title": "t" })).await
}

async fn start(front: &Front, token: &str, session: &str, credential: Option<&str>) -> Answered {
    let mut new = json!({ "prompt": "p" });
    if let Some(credential) = credential {
        new["credential"] = credential.into();
    }
    let path = front.url(&format!("/api/v1/sessions/{session}/runs"));
    answered(front.http.post(path).bearer_auth(token).json(&new)).await
}

async fn started(front: &Front, session: &str, credential: Option<&str>) -> Value {
    let answer = start(front, &front.token, session, credential).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = answer.body["id"].as_str().unwrap();
    let at = format!("{}@{}", answer.body["stream"].as_str().unwrap(), answer.body["version"]);
    let run = front.read(&format!("/api/v1/runs/{id}?at_least={at}")).await;
    // Another may start in the same session only after this one.
    let cancel = format!("/api/v1/runs/{id}/cancel");
    front.send(Method::POST, &cancel, &json!({})).await;
    run
}

/// The tables in which a text stands, as it is or in hexadecimal.
async fn tables_with(front: &Front, text: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_schema in ('paddock', 'runtime', 'view', 'public') and table_type = 'BASE TABLE'",
    )
    .fetch_all(front.world.pool())
    .await
    .unwrap();
    let mut found = vec![];
    for table in tables {
        let sql = format!(
            "select exists (select from {table} t where strpos(t::text, $1) > 0 or strpos(t::text, $2) > 0)"
        );
        let holds: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(text)
            .bind(hex::encode(text))
            .fetch_one(front.world.pool())
            .await
            .unwrap();
        if holds {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn a_token_is_registered_verified_and_shown_and_its_value_is_in_no_table_file_or_answer() {
    let front = Front::new().await;
    let canary = token();
    let id = add(&front, "work-canary", &canary).await;
    let one = shown(&front, &id).await;
    assert_eq!(
        (&one["kind"], &one["state"], &one["generation"]),
        (&json!("pat"), &json!("active"), &json!(1))
    );
    assert_eq!(one["owner"], format!("user:{}", front.admin));
    assert_eq!(one["verified"]["outcome"], "works");
    assert_eq!(one["verified"]["push"], true);
    assert_eq!(one["verified"]["words"], "it may push to acme/widget");
    assert_eq!(one["expires_at"], "2099-01-31T09:00:00Z");
    assert_eq!(one["allowed_actions"], json!(["use", "verify", "rotate", "revoke", "share"]));
    assert_eq!(front.forge.told.lock().unwrap().carried.last(), Some(&canary), "tried with itself");
    let list = front.read("/api/v1/credentials").await;
    assert_eq!(list["items"], json!([one]));

    front.caught_up().await;
    assert!(!tables_with(&front, "work-canary").await.is_empty(), "the search is blind");
    assert_eq!(tables_with(&front, &canary).await, [""; 0]);
    assert!(!list.to_string().contains(&canary));
    let mut files = 0;
    for entry in std::fs::read_dir(front.world.store.path().join("secrets")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()));
        files += 1;
    }
    assert_eq!(files, 2, "the key and the one value");
    front.end().await;
}

#[tokio::test]
async fn what_the_forge_says_is_shown_plainly_and_what_cannot_be_verified_is_registered_all_the_same()
 {
    let front = Front::new().await;
    for (good, outcome, push, words) in [
        (Good::Push, "works", json!(true), "may push"),
        (Good::Read, "works", json!(false), "may not push"),
        (Good::Wrong, "refused", Value::Null, "wrong, expired or revoked"),
        (Good::Forbidden, "refused", Value::Null, "does not let it"),
        (
            Good::Down,
            "unknown",
            Value::Null,
            "could not verify: the forge cannot be reached or fails",
        ),
    ] {
        let value = token();
        front.forge.told.lock().unwrap().tokens.insert(value.clone(), good);
        let id = add(&front, &format!("a{}", Uuid::now_v7().simple()), &value).await;
        let one = shown(&front, &id).await;
        assert_eq!(one["verified"]["outcome"], outcome, "{good:?}: {one}");
        assert_eq!(one["verified"]["push"], push, "{good:?}");
        assert!(one["verified"]["words"].as_str().unwrap().contains(words), "{good:?}: {one}");
        assert_eq!(one["state"], "active", "whatever the forge says now");
        // It is asked again, on the same repository, and says something else.
        front.forge.told.lock().unwrap().tokens.insert(value, Good::Push);
        let path = format!("/api/v1/credentials/{id}/verify");
        assert_eq!(front.send(Method::POST, &path, &json!({})).await.status, 202);
        assert_eq!(shown(&front, &id).await["verified"]["push"], true);
    }
    let id = add(&front, "elsewhere", &token()).await;
    let path = format!("/api/v1/credentials/{id}/verify");
    front.send(Method::POST, &path, &json!({ "repo": "acme/none" })).await;
    let words = shown(&front, &id).await["verified"]["words"].clone();
    assert_eq!(words, "acme/none is not there, or it may not see it");
    front.end().await;
}

#[tokio::test]
async fn a_classic_token_and_what_is_none_are_refused_and_nothing_is_kept() {
    let front = Front::new().await;
    let classic = format!("ghp_{}", "a".repeat(36));
    for (new, status, code) in [
        (json!({ "name": "a", "value": classic }), 422, "credential-value"),
        (json!({ "name": "a", "value": "password" }), 422, "credential-value"),
        (
            json!({ "name": "a", "value": format!("ghs_{}", "a".repeat(36)) }),
            422,
            "credential-value",
        ),
        (json!({ "name": "two words", "value": token() }), 422, "invalid-request"),
        (json!({ "name": token(), "value": token() }), 422, "invalid-request"),
        (json!({ "name": "a", "value": token(), "app": 7 }), 422, "invalid-request"),
        (json!({ "name": "a", "value": token(), "repo": "x" }), 422, "invalid-request"),
    ] {
        let answer = front.send(Method::POST, "/api/v1/credentials", &new).await;
        assert_eq!(answer.status, status, "{new}: {}", answer.body);
        assert_eq!(answer.body["type"], format!("https://paddock.dev/problems/{code}"));
        assert!(!answer.body.to_string().contains(&classic));
    }
    let answer = front
        .send(Method::POST, "/api/v1/credentials", &json!({ "name": "a", "value": classic }))
        .await;
    assert!(answer.body.to_string().contains("PADDOCK_CLASSIC_TOKENS"), "it says what to do");
    assert_eq!(front.read("/api/v1/credentials").await["items"], json!([]));
    let files = std::fs::read_dir(front.world.store.path().join("secrets")).unwrap().count();
    assert_eq!(files, 1, "the key alone");
    add(&front, "a", &token()).await;
    let again = json!({ "name": "a", "value": token() });
    let answer = front.send(Method::POST, "/api/v1/credentials", &again).await;
    assert_eq!(answer.body["type"], "https://paddock.dev/problems/credential-name-taken");
    front.end().await;
}

#[tokio::test]
async fn a_run_carries_what_is_named_else_the_only_one_of_its_owner_else_the_installations_own() {
    let front = Front::new().await;
    let at = session(&front).await;
    assert_eq!(started(&front, &at, None).await["credential"], Value::Null);
    let first = add(&front, "first", &token()).await;
    assert_eq!(shown(&front, &first).await["is_default"], true);
    let run = started(&front, &at, None).await;
    assert_eq!(run["credential"]["id"], first.as_str());
    assert_eq!(run["credential"]["name"], "first");
    assert_eq!(run["credential"]["generation"], Value::Null, "not used yet");
    assert_eq!(started(&front, &at, Some("installation")).await["credential"], Value::Null);
    let second = add(&front, "second", &token()).await;
    assert_eq!(
        started(&front, &at, None).await["credential"],
        Value::Null,
        "it is not clear which"
    );
    assert_eq!(started(&front, &at, Some(&second)).await["credential"]["name"], "second");

    // Somebody else's is not there for those who were not given it.
    let user = UserId(Uuid::now_v7());
    let theirs = front.token_of(user).await;
    front.bind(&format!("user:{user}"), "maintainer", &format!("session:{at}")).await;
    let answer = start(&front, &theirs, &at, Some(&first)).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert_eq!(answer.body["type"], "https://paddock.dev/problems/credential-not-found");
    // To see it is not to use it; and the refusal is on record.
    let viewer = json!({ "subject": format!("user:{user}"), "role": "viewer", "scope": format!("credential:{first}") });
    front.post("/api/v1/role-bindings", &viewer).await;
    let answer = start(&front, &theirs, &at, Some(&first)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["missing"]["action"]),
        (403, &json!("credential.use"))
    );
    let refused: i64 = sqlx::query_scalar(
        "select count(*) from paddock.event where name = 'actor.command.refused' and stream = $1",
    )
    .bind(format!("actor-{user}"))
    .fetch_one(front.world.pool())
    .await
    .unwrap();
    assert!(refused >= 1);
    let maintainer = json!({ "subject": format!("user:{user}"), "role": "maintainer", "scope": format!("credential:{first}") });
    front.post("/api/v1/role-bindings", &maintainer).await;
    let answer = start(&front, &theirs, &at, None).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    front.caught_up().await;
    let id = answer.body["id"].as_str().unwrap();
    let run = front.read(&format!("/api/v1/runs/{id}")).await;
    assert_eq!(run["credential"]["name"], "first", "the one that they were given");
    front.send(Method::POST, &format!("/api/v1/runs/{id}/cancel"), &json!({})).await;

    let path = format!("/api/v1/credentials/{first}");
    assert_eq!(front.send(Method::DELETE, &path, &json!({})).await.status, 202);
    let answer = start(&front, &front.token, &at, Some(&first)).await;
    assert_eq!(answer.body["type"], "https://paddock.dev/problems/credential-unusable");
    assert_eq!(
        started(&front, &at, None).await["credential"]["name"],
        "second",
        "the only one left"
    );
    front.end().await;
}

#[tokio::test]
async fn what_counts_now_is_handed_out_recorded_before_and_refused_once_it_is_revoked() {
    let front = Front::new().await;
    let gateway = front.gateway_listener().await;
    let (first, second) = (token(), token());
    let id = add(&front, "work", &first).await;
    let other = token();
    let other_id = add(&front, "other", &other).await;
    let run = admitted(&front, &id).await.run.to_string();
    let other_run = admitted(&front, &other_id).await.run.to_string();
    let none = front.world.admitted().await.run.to_string();

    assert_eq!(handed(&front, &gateway, &none).await.0, 204, "the gateway's own");
    let (status, body) = handed(&front, &gateway, &run).await;
    assert_eq!(
        (status.as_u16(), &body["token"], &body["generation"]),
        (200, &json!(first), &json!(1))
    );
    assert_eq!(handed(&front, &gateway, &other_run).await.1["token"], other, "each its own");
    let rotate = format!("/api/v1/credentials/{id}/rotate");
    let answer = front.send(Method::POST, &rotate, &json!({ "value": second })).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let body = handed(&front, &gateway, &run).await.1;
    assert_eq!((&body["token"], &body["generation"]), (&json!(second), &json!(2)), "at once");
    handed(&front, &gateway, &run).await;

    let id_of_run: RunId = run.parse().unwrap();
    let events = front.world.commands.run_events(id_of_run, StreamVersion::NONE).await.unwrap();
    let used: Vec<u32> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::Run(run::Event::CredentialUsed { generation, .. }) => Some(generation.0),
            _ => None,
        })
        .collect();
    assert_eq!(used, [1, 2], "once for each value");
    front.caught_up().await;
    let runs = front.read(&format!("/api/v1/credentials/{id}/runs")).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 1);
    assert_eq!(runs["items"][0]["id"], run.as_str());
    assert_eq!(runs["items"][0]["credential"]["generation"], 2);

    assert_eq!(
        front.send(Method::DELETE, &format!("/api/v1/credentials/{id}"), &json!({})).await.status,
        202
    );
    let (status, body) = handed(&front, &gateway, &run).await;
    assert_eq!((status.as_u16(), &body["rule"]), (403, &json!("credential.revoked")));
    assert_eq!(handed(&front, &gateway, &other_run).await.0, 200, "the other's goes on");
    let one = shown(&front, &id).await;
    assert_eq!((&one["state"], &one["allowed_actions"]), (&json!("revoked"), &json!([])));
    let again = front.send(Method::POST, &rotate, &json!({ "value": token() })).await;
    assert_eq!(again.body["type"], "https://paddock.dev/problems/credential-revoked");
    // Neither value is kept any longer; the other credential's is.
    let files = std::fs::read_dir(front.world.store.path().join("secrets")).unwrap().count();
    assert_eq!(files, 2, "the key and the other's value");
    let answer =
        front.http.post(format!("{gateway}/gateway/v1/credential")).json(&json!({ "run": run }));
    assert_eq!(answer.send().await.unwrap().status(), 401, "not without the gateways' token");
    front.end().await;
}

/// A key pair as GitHub makes it for an app: private and public, in PEM form.
fn key() -> (String, String) {
    let openssl = |args: &[&str], input: &str| {
        use std::io::Write as _;
        let mut child = Command::new("openssl")
            .args(args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("openssl");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let private = openssl(&["genrsa", "-traditional", "2048"], "");
    let public = openssl(&["rsa", "-pubout"], &private);
    (private, public)
}

#[tokio::test]
async fn an_app_makes_a_token_of_one_repository_for_each_run_which_ends_with_it() {
    let front = Front::new().await;
    let gateway = front.gateway_listener().await;
    let (private, public) = key();
    let new = json!({ "name": "bot", "value": private, "app": 42, "shared": true, "repo": "acme/widget" });
    let id = front.post("/api/v1/credentials", &new).await;
    let one = shown(&front, &id).await;
    assert_eq!(
        (&one["kind"], &one["app"], &one["owner"]),
        (&json!("app"), &json!(42), &Value::Null)
    );
    assert_eq!(one["verified"]["push"], true, "{one}");
    let (minted, ended) = {
        let told = front.forge.told.lock().unwrap();
        (told.minted.clone(), told.ended.clone())
    };
    assert_eq!(minted.len(), 1, "made to try it");
    assert_eq!(ended, [minted[0].0.clone()], "and ended at once");

    let workload = admitted(&front, &id).await;
    let run = workload.run.to_string();
    let (status, body) = handed(&front, &gateway, &run).await;
    assert_eq!(status, 200, "{body}");
    let again = handed(&front, &gateway, &run).await.1;
    assert_eq!(again["token"], body["token"], "the run's own until it ends");
    {
        let told = front.forge.told.lock().unwrap();
        let (token, asked) = told.minted.last().unwrap();
        assert_eq!((body["token"].as_str(), told.minted.len()), (Some(token.as_str()), 2));
        assert_eq!(asked["repositories"], json!(["widget"]));
        assert_eq!(
            asked["permissions"],
            json!({ "contents": "write", "pull_requests": "write", "issues": "read", "metadata": "read" })
        );
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_issuer(&["42"]);
        wanted.set_required_spec_claims(&["iss", "exp", "iat"]);
        let key = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
        for word in &told.words {
            let said =
                jsonwebtoken::decode::<Value>(word, &key, &wanted).expect("signed by the key");
            let lasts = said.claims["exp"].as_i64().unwrap() - said.claims["iat"].as_i64().unwrap();
            assert!(lasts <= 600, "{lasts}");
        }
        assert!(told.words.len() >= 4);
    }
    let token = body["token"].as_str().unwrap().to_owned();
    front.caught_up().await;
    assert_eq!(tables_with(&front, &token).await, [""; 0]);
    front.credentials().end_minted().await.unwrap();
    assert!(!front.forge.told.lock().unwrap().ended.contains(&token), "the run goes on");

    // A control plane that starts anew knows nothing of it but what is in the store.
    let anew = front.credentials_anew();
    front.world.run(workload.run, run::Command::Cancel).await;
    anew.end_minted().await.unwrap();
    assert!(front.forge.told.lock().unwrap().ended.contains(&token), "ended with the run");
    let files = std::fs::read_dir(front.world.store.path().join("secrets")).unwrap().count();
    assert_eq!(files, 2, "the key of the store and the app's");

    // One of a key that is revoked ends too, whatever the run does.
    let workload = admitted(&front, &id).await;
    let body = handed(&front, &gateway, &workload.run.to_string()).await.1;
    assert_eq!(
        front.send(Method::DELETE, &format!("/api/v1/credentials/{id}"), &json!({})).await.status,
        202
    );
    let token = body["token"].as_str().unwrap().to_owned();
    assert!(front.forge.told.lock().unwrap().ended.contains(&token), "revoked at once");
    let (status, _) = handed(&front, &gateway, &workload.run.to_string()).await;
    assert_eq!(status, 403);
    front.end().await;
}

#[tokio::test]
async fn only_an_admin_registers_a_shared_one_and_nobody_uses_it_who_was_not_given_it() {
    let front = Front::new().await;
    let user = UserId(Uuid::now_v7());
    let theirs = front.token_of(user).await;
    let new =
        |shared: bool, name: &str| json!({ "name": name, "value": token(), "shared": shared });
    let post = |body: Value| {
        let request = front.http.post(front.url("/api/v1/credentials")).bearer_auth(&theirs);
        answered(request.json(&body))
    };
    assert_eq!(post(new(false, "own")).await.status, 403, "not a maintainer of anything");
    front.bind(&format!("user:{user}"), "maintainer", "global").await;
    let answer = post(new(true, "shared")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["missing"]["role"]), (403, &json!("admin")));
    assert_eq!(post(new(false, "own")).await.status, 201);
    let shared = front.post("/api/v1/credentials", &new(true, "shared")).await;
    let list = |token: String| {
        answered(front.http.get(front.url("/api/v1/credentials")).bearer_auth(token))
    };
    let names = |answer: &Answered| -> Vec<String> {
        let items = answer.body["items"].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&list(theirs.clone()).await), ["own"]);
    assert_eq!(names(&list(front.token.clone()).await), ["shared", "own"]);
    front.bind(&format!("user:{user}"), "maintainer", &format!("credential:{shared}")).await;
    let seen = list(theirs.clone()).await;
    assert_eq!(names(&seen), ["shared", "own"]);
    assert_eq!(seen.body["items"][0]["allowed_actions"], json!(["use", "verify"]));
    front.end().await;
}

#[tokio::test]
async fn the_same_registration_again_is_answered_as_the_first_and_keeps_one_value() {
    let front = Front::new().await;
    let new = json!({ "name": "once", "value": token() });
    let send = || {
        let request = front.request(Method::POST, "/api/v1/credentials");
        answered(request.header("idempotency-key", "k").json(&new))
    };
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body["id"], again.body["id"]);
    let files = std::fs::read_dir(front.world.store.path().join("secrets")).unwrap().count();
    assert_eq!(files, 2);
    let all = front.world.commands.credentials().await.unwrap();
    assert_eq!((all.len(), all[0].credential.registered.kind), (1, Kind::Pat));
    front.end().await;
}

#[tokio::test]
async fn a_run_that_is_not_there_is_handed_nothing() {
    let front = Front::new().await;
    let gateway = front.gateway_listener().await;
    let (status, body) = handed(&front, &gateway, &RunId(Uuid::now_v7()).to_string()).await;
    assert_eq!((status.as_u16(), &body["rule"]), (403, &json!("credential.unknown")));
    front.end().await;
}
