//! The record over HTTP: asked, proven, taken out, and erased from.

use std::{path::Path, time::Duration};

use ::audit::{
    Hash, SignedCheckpoint, SigningKey, VerifyingKey, hold,
    proof::{self},
    tile::root_of,
    verify::{Against, verify},
};
use api::{
    audit::{NotCosigned, Witness},
    system::Probe,
};
use axum::http::StatusCode;
use commands::{
    Caused, Progress,
    audit::{Keys, run},
};
use domain::{
    event::Actor,
    ids::{RunId, SessionId, UserId},
    run as domain_run,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::front::{Front, answered};

fn key() -> SigningKey {
    SigningKey::parse(&SigningKey::generate("api.test", [5; 32]).unwrap()).unwrap()
}

/// A server that signs.
async fn signing() -> (Front, CancellationToken) {
    let probe = |probes: &mut Vec<Probe>, progress: &Progress| {
        probes.push(Probe::signer(progress.clone(), true));
    };
    let front = Front::with(probe).await;
    let stop = sign(&front, key());
    (front, stop)
}

/// Signs with a key, until told to stop.
fn sign(front: &Front, key: SigningKey) -> CancellationToken {
    let stop = CancellationToken::new();
    let keys = Keys { key, previous: None, memory: None };
    let (commands, progress) = (front.world.commands.clone(), front.progress.clone());
    tokio::spawn(run(commands, keys, progress, stop.clone()));
    stop
}

/// Waits until all that there is is signed.
async fn signed(front: &Front) -> SignedCheckpoint {
    front.caught_up().await;
    let end: i64 = sqlx::query_scalar("select max(position) from paddock.log")
        .fetch_one(front.world.pool())
        .await
        .unwrap();
    for _ in 0..500 {
        let answer = front.get("/api/v1/audit/checkpoint").await;
        if answer.status == 200 {
            let note = answer.body.as_str().unwrap();
            let signed = SignedCheckpoint::parse(note).unwrap();
            if signed.checkpoint().size >= end.unsigned_abs() {
                return signed;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not signed");
}

fn hashes(value: &Value) -> Vec<Hash> {
    let hash = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap();
    value.as_array().unwrap().iter().map(hash).collect()
}

#[tokio::test]
async fn a_signer_that_is_halted_is_a_part_that_is_not_well() {
    let (front, stop) = signing().await;
    signed(&front).await;
    let signer = async |ok: bool| {
        for _ in 0..250 {
            let system = front.read("/api/v1/system").await;
            let parts = system["parts"].as_array().unwrap();
            if let Some(part) =
                parts.iter().find(|part| part["name"] == "signer" && part["ok"] == ok)
            {
                return part.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the signer is never so: {ok}");
    };
    assert_eq!(signer(true).await["action"], Value::Null);
    stop.cancel();
    // A key that nobody handed over to.
    let other = SigningKey::parse(&SigningKey::generate("api.test", [6; 32]).unwrap()).unwrap();
    let stop = sign(&front, other);
    let halted = signer(false).await;
    assert!(
        halted["detail"].as_str().unwrap().contains("PADDOCK_AUDIT_PREVIOUS_KEY_FILE"),
        "{halted}"
    );
    assert!(halted["action"].is_string() && halted["still_works"].is_string(), "{halted}");
    stop.cancel();
    front.end().await;
}

#[tokio::test]
async fn the_record_is_found_by_who_what_when_and_whether_it_was_refused() {
    let (front, stop) = signing().await;
    let at = front.world.admitted_of(front.world.owner).await;
    let viewer = UserId(Uuid::now_v7());
    let token = front.token_of(viewer).await;
    front.bind(&format!("user:{viewer}"), "viewer", "global").await;
    front.caught_up().await;
    let cancel = front.url(&format!("/api/v1/runs/{}/cancel", at.run));
    let refused = front.http.post(&cancel).bearer_auth(&token).json(&json!({}));
    assert_eq!(answered(refused).await.status, 403);
    front.caught_up().await;

    let read = async |query: &str| front.read(&format!("/api/v1/audit/events?{query}")).await;
    let all = read("limit=200").await;
    let all = all["items"].as_array().unwrap();
    let positions: Vec<u64> = all.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted_by(|one, other| one > other), "the newest first, each once");
    let refusals = read("outcome=refused").await;
    let refusal = &refusals["items"][0];
    assert_eq!(refusals["items"].as_array().unwrap().len(), 1);
    assert_eq!(refusal["actor"], format!("user:{viewer}"));
    assert_eq!(refusal["target"], format!("run-{}", at.run));
    assert_eq!(refusal["body"]["command"], "run.cancel");
    let accepted = read("outcome=accepted&limit=200").await;
    assert_eq!(accepted["items"].as_array().unwrap().len(), all.len() - 1);
    let by = read(&format!("actor=user:{viewer}")).await;
    assert_eq!(by["items"], refusals["items"]);
    let about = read(&format!("target=run-{}&limit=200", at.run)).await;
    let about = about["items"].as_array().unwrap();
    assert!(about.iter().any(|event| event["type"] == "run.requested"));
    assert!(about.contains(refusal), "what was refused to be done to it is about it");
    let kinds = read("type=run.*&limit=200").await;
    let kinds = kinds["items"].as_array().unwrap();
    assert!(kinds.len() > 1);
    assert!(kinds.iter().all(|event| event["type"].as_str().unwrap().starts_with("run.")));
    let one = read("type=run.requested").await;
    let time = one["items"][0]["time"].as_str().unwrap();
    let before = read(&format!("until={time}&type=run.requested")).await;
    assert_eq!(before["items"], json!([]));
    let since = read(&format!("since={time}&type=run.requested")).await;
    assert_eq!(since["items"], one["items"]);
    // Page by page it is the same.
    let mut paged = vec![];
    let mut cursor = String::new();
    loop {
        let page = read(&format!("limit=3{cursor}")).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(&paged[paged.len() - all.len()..], &all[..]);
    for wrong in [
        "actor=me",
        "target=x",
        "outcome=maybe",
        "since=yesterday",
        "limit=0",
        "cursor=x",
        "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
    ] {
        let answer = front.get(&format!("/api/v1/audit/events?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    stop.cancel();
    front.end().await;
}

#[tokio::test]
async fn an_event_is_told_with_its_cause_and_its_effects_and_proven_to_be_what_was_signed() {
    let (front, stop) = signing().await;
    let at = front.world.admitted_of(front.world.owner).await;
    let signed = signed(&front).await;
    let found =
        front.read(&format!("/api/v1/audit/events?type=run.requested&target=run-{}", at.run)).await;
    let position = found["items"][0]["position"].as_u64().unwrap();
    let story = front.read(&format!("/api/v1/audit/events/{position}")).await;
    let kinds = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap().to_owned()).collect()
    };
    let command = kinds(&story["command"]);
    assert!(command.contains(&"run.prompt.submitted".to_owned()), "{command:?}");
    assert!(command.contains(&"session.run.started".to_owned()), "of another stream, too");
    assert!(kinds(&story["after"]).contains(&"run.admitted".to_owned()));
    let prompt = story["command"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["type"] == "run.prompt.submitted")
        .unwrap();
    let prompt = front.read(&format!("/api/v1/audit/events/{}", prompt["position"])).await;
    assert!(prompt["texts"][0]["text"].is_string());

    let entry = story["entry"].as_str().unwrap();
    let body_hash = hex::encode(Sha256::digest(story["stored"].as_str().unwrap().as_bytes()));
    assert!(entry.contains(&body_hash) && entry.contains("\"correlation\""));
    let leaf: Hash = Sha256::new().chain_update([0]).chain_update(entry).finalize().into();
    assert_eq!(story["leaf"], hex::encode(leaf));
    let size = signed.checkpoint().size;
    let given =
        front.read(&format!("/api/v1/audit/proof/inclusion?position={position}&size={size}")).await;
    let path = hashes(&given["hashes"]);
    assert_eq!(proof::includes(signed.checkpoint(), position, leaf, &path), Ok(()));
    assert!(signed.is_signed_by(key().verifying()));
    let keys = front.read("/api/v1/audit/keys").await;
    assert_eq!(keys["items"], json!([{ "key": key().verifying().as_str(), "handover": null }]));

    // Anybody who is known can hold the server to what it signed, and sees nothing but hashes.
    let token = front.token_of(UserId(Uuid::now_v7())).await;
    let get =
        async |path: &str| answered(front.http.get(front.url(path)).bearer_auth(&token)).await;
    assert_eq!(get("/api/v1/audit/checkpoint").await.status, 200);
    assert_eq!(get(&format!("/api/v1/audit/events/{position}")).await.status, 403);
    assert_eq!(get("/api/v1/audit/export").await.status, 403);
    front.world.admitted_of(front.world.owner).await;
    let newer = self::signed(&front).await;
    let to = newer.checkpoint().size;
    let path = format!("/api/v1/audit/proof/consistency?from={size}&to={to}");
    let proven = get(&path).await;
    let trusted: [VerifyingKey; 1] = [key().verifying().clone()];
    assert_eq!(hold::hold(&signed, &newer, &trusted, &hashes(&proven.body["hashes"])), Ok(()));
    let tile = format!("/api/v1/audit/tile/0/000.p/{size}");
    let tile = front.http.get(front.url(&tile)).bearer_auth(&token).send().await.unwrap();
    assert_eq!(tile.status(), 200);
    let bytes = tile.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, size * 32);
    let leaves: Vec<Hash> = bytes.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
    let perfect = 1 << size.ilog2();
    assert_eq!(leaves[usize::try_from(position).unwrap() - 1], leaf);
    assert!(root_of(&leaves[..perfect]).is_some());
    for (path, status) in [
        (format!("/api/v1/audit/proof/inclusion?position=0&size={size}"), 400),
        (format!("/api/v1/audit/proof/inclusion?position={}&size={size}", size + 1), 400),
        ("/api/v1/audit/proof/inclusion?position=1&size=1000000".to_owned(), 503),
        ("/api/v1/audit/proof/consistency?from=0&to=1".to_owned(), 400),
        ("/api/v1/audit/tile/0/001".to_owned(), 404),
        ("/api/v1/audit/tile/9/000".to_owned(), 400),
        ("/api/v1/audit/tile/0/%2e%2e/000".to_owned(), 404),
        ("/api/v1/audit/events/999999".to_owned(), 404),
    ] {
        let answer = front.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    stop.cancel();
    front.end().await;
}

const SECRET: &str = "words that are to be erased";

/// Whether any file below holds the words.
fn in_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return in_files(&path);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
    })
}

#[tokio::test]
async fn what_is_erased_is_in_no_answer_no_file_and_no_export_and_a_rebuild_goes_on_to_work() {
    let (front, stop) = signing().await;
    let session = json!({ "repo": "acme/widget", "base": "main", "title": "t" });
    let session = front.post("/api/v1/sessions", &session).await;
    let new = json!({ "prompt": SECRET });
    let run = front.post(&format!("/api/v1/sessions/{session}/runs"), &new).await;
    front.caught_up().await;
    let events = front
        .read(&format!("/api/v1/audit/events?target=run-{run}&type=run.prompt.submitted"))
        .await;
    let text = events["items"][0]["body"]["text"]["ref"].as_str().unwrap().to_owned();
    let position = events["items"][0]["position"].as_u64().unwrap();
    // A bundle that holds it too.
    let digest = hex::encode(Sha256::digest(SECRET));
    let dir = front.world.store.path().join("bundle").join(&digest[..2]);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(&digest), SECRET).unwrap();
    sqlx::query(
        "insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
         values ($1, $2, $3, 1, 27, now())",
    )
    .bind(&digest)
    .bind(session.parse::<Uuid>().unwrap())
    .bind(run.parse::<Uuid>().unwrap())
    .execute(front.world.pool())
    .await
    .unwrap();
    assert!(in_files(front.world.store.path()));
    let before = signed(&front).await;
    let kept = front.http.get(front.url("/api/v1/audit/export")).bearer_auth(&front.token);
    let kept = kept.send().await.unwrap().bytes().await.unwrap();
    assert!(kept.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));

    let erase = json!({ "texts": [text] });
    let active = front.send(Method::POST, "/api/v1/audit/erasures", &erase).await;
    assert_eq!(
        (active.status.as_u16(), active.body["type"].as_str().unwrap()),
        (409, "https://paddock.dev/problems/run-active")
    );
    assert!(in_files(front.world.store.path()), "a refusal changes nothing");
    let caused = Caused::by(Actor::User(front.admin));
    let id = RunId(run.parse().unwrap());
    front.world.commands.run(id, domain_run::Command::Cancel, caused).await.unwrap();
    let done = front.send(Method::POST, "/api/v1/audit/erasures", &erase).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.body["runs"], json!([run]));
    assert_eq!(done.body["bundles"], json!([format!("{session}.{digest}")]));
    assert_eq!(done.body["waiting"], json!([]));
    assert!(!done.body["not_reached"].as_array().unwrap().is_empty());
    let again = front.send(Method::POST, "/api/v1/audit/erasures", &erase).await;
    assert_eq!(again.status, 404, "{}", again.body);
    for wrong in [json!({ "texts": [] }), json!({ "texts": ["x"] }), json!({})] {
        let answer = front.send(Method::POST, "/api/v1/audit/erasures", &wrong).await;
        assert!(
            matches!(answer.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST),
            "{wrong}"
        );
    }

    assert!(!in_files(front.world.store.path()));
    let after = signed(&front).await;
    let story = front.read(&format!("/api/v1/audit/events/{position}")).await;
    assert_eq!(story["texts"][0]["text"], Value::Null);
    let (from, to) = (before.checkpoint().size, after.checkpoint().size);
    let proven = front.read(&format!("/api/v1/audit/proof/consistency?from={from}&to={to}")).await;
    let trusted = [key().verifying().clone()];
    assert_eq!(hold::hold(&before, &after, &trusted, &hashes(&proven["hashes"])), Ok(()));
    let export = front.http.get(front.url("/api/v1/audit/export")).bearer_auth(&front.token);
    let export = export.send().await.unwrap().bytes().await.unwrap();
    assert!(!export.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    for file in [&kept, &export] {
        let against = Against { key: Some(key().verifying().clone()), older: None };
        let verdict = verify(&file[..], against, &mut |_, _| {});
        assert!(verdict.is_ok(), "{:?}", verdict.err().map(|failure| failure.to_string()));
    }
    let rebuilt = projections::rebuild(front.world.pool(), true).await.unwrap();
    assert!(rebuilt.is_equal(), "{rebuilt}");
    let loaded = front.world.commands.load_session(SessionId(session.parse().unwrap())).await;
    assert!(loaded.is_ok());
    let said = front.read("/api/v1/audit/events?type=log.text.erased").await;
    assert_eq!(said["items"][0]["actor"], format!("user:{}", front.admin));
    stop.cancel();
    front.end().await;
}

#[tokio::test]
async fn what_something_may_have_reached_is_found_by_egress_credential_and_image() {
    let front = Front::new().await;
    let at = front.world.admitted_of(front.world.owner).await;
    let other = front.world.admitted_of(front.world.owner).await;
    let digest = format!("sha256:{}", "ab".repeat(32));
    let image = domain_run::RanImage {
        container: "harness".to_owned(),
        image: "example.org/agent:1".to_owned(),
        digest: digest.clone(),
    };
    let report = commands::Report::Observed(
        domain_run::WorkloadStage::Began,
        "all of it runs".to_owned(),
        vec![image],
    );
    front.world.commands.report(at.run, at.generation, report).await.unwrap();
    let started = chrono::Utc::now();
    let caused = Caused::by(Actor::User(front.world.owner));
    let context = front.world.commands.context();
    let reason = context.seal("to look something up".to_owned());
    let open = domain_run::Command::ChangeEgress {
        mode: domain_run::EgressMode::Full,
        reason: Some(reason.reference.clone()),
    };
    let with = Caused { texts: vec![reason], ..caused.clone() };
    front.world.commands.run(at.run, open, with).await.unwrap();
    let between = chrono::Utc::now();
    let shut =
        domain_run::Command::ChangeEgress { mode: domain_run::EgressMode::Github, reason: None };
    front.world.commands.run(at.run, shut, caused).await.unwrap();
    // As those who use credentials record it.
    let credential = Uuid::now_v7();
    let body = json!({ "credential": credential, "purpose": "push" }).to_string();
    sqlx::query(
        "insert into paddock.event (id, stream, version, name, schema, actor, time, correlation, body)
         select gen_random_uuid(), stream, max(version) + 1, 'run.credential.used', 1, 'system:adapter', now(),
           gen_random_uuid(), convert_to($1, 'UTF8')
         from paddock.event where stream = $2 group by stream",
    )
    .bind(&body)
    .bind(format!("run-{}", other.run))
    .execute(front.world.pool())
    .await
    .unwrap();
    let runs = async |query: &str| -> Vec<String> {
        let answer = front.read(&format!("/api/v1/audit/runs?{query}")).await;
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|item| item["run_id"].as_str().unwrap().to_owned()).collect()
    };
    let time = |time: chrono::DateTime<chrono::Utc>| {
        time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    };
    let (run, used) = (at.run.to_string(), other.run.to_string());
    let now = time(chrono::Utc::now());
    assert_eq!(
        runs(&format!("egress=full&since={}&until={now}", time(started))).await,
        std::slice::from_ref(&run)
    );
    assert_eq!(
        runs(&format!("egress=full&since={}&until={now}", time(between))).await,
        std::slice::from_ref(&run)
    );
    let over = time(chrono::Utc::now());
    assert!(
        runs(&format!("egress=full&since={over}")).await.is_empty(),
        "it was taken back by then"
    );
    let long_ago = "egress=full&since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z";
    assert!(runs(long_ago).await.is_empty());
    assert_eq!(runs(&format!("credential={credential}")).await, [used]);
    assert!(runs(&format!("credential={}", Uuid::now_v7())).await.is_empty());
    assert_eq!(runs(&format!("image={digest}")).await, std::slice::from_ref(&run));
    assert_eq!(runs(&format!("image={}", &digest[..19])).await, [run]);
    assert!(runs(&format!("image=sha256:{}", "cd".repeat(32))).await.is_empty());
    for wrong in [
        "",
        "egress=full",
        "egress=some&since=2020-01-01T00:00:00Z",
        "image=sha256:",
        "credential=x",
        "image=sha256:0123456789&egress=full&since=2020-01-01T00:00:00Z",
    ] {
        let answer = front.get(&format!("/api/v1/audit/runs?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    front.end().await;
}

#[tokio::test]
async fn the_roles_of_a_time_are_those_that_held_then() {
    let front = Front::new().await;
    let subject = "group:reviewers".to_owned();
    let before = chrono::Utc::now();
    let binding = front.bind(&subject, "viewer", "global").await;
    let while_held = chrono::Utc::now();
    let path = format!("/api/v1/role-bindings/{binding}");
    assert!(front.send(Method::DELETE, &path, &json!({})).await.status.is_success());
    let at = async |time: chrono::DateTime<chrono::Utc>| -> Vec<String> {
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let answer = front.read(&format!("/api/v1/audit/role-bindings?at={time}")).await;
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|item| item["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!at(before).await.contains(&subject));
    assert!(at(while_held).await.contains(&subject));
    assert!(!at(chrono::Utc::now()).await.contains(&subject));
    front.end().await;
}

/// A witness by the book of C2SP tlog-witness, which verifies by another implementation of RFC 6962.
mod by_the_book {
    use std::sync::{Arc, Mutex};

    use ::audit::{SignedCheckpoint, witness};
    use axum::{
        Router,
        extract::State,
        http::{StatusCode, header},
        response::{IntoResponse as _, Response},
        routing::post,
    };
    use ct_merkle::{ConsistencyProof, RootHash};

    type Seen = Arc<Mutex<Option<SignedCheckpoint>>>;
    type Root = RootHash<sha2_next::Sha256>;

    fn root(of: &SignedCheckpoint) -> Root {
        RootHash::new(of.checkpoint().root.into(), of.checkpoint().size)
    }

    async fn add(State(seen): State<Seen>, body: String) -> Response {
        let Some((old, proof, new)) = witness::parse(&body) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        if !new.is_signed_by(super::key().verifying()) {
            return StatusCode::FORBIDDEN.into_response();
        }
        let mut seen = seen.lock().unwrap();
        let known = seen.as_ref().map_or(0, |seen| seen.checkpoint().size);
        if known != old {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, kind, format!("{known}\n")).into_response();
        }
        if let Some(seen) = &*seen {
            let size = new.checkpoint().size;
            let holds = if old == size {
                seen.checkpoint().root == new.checkpoint().root
            } else {
                ConsistencyProof::try_from_bytes(proof.concat())
                    .is_ok_and(|proof| root(&new).verify_consistency(&root(seen), &proof).is_ok())
            };
            if !holds {
                return (StatusCode::UNPROCESSABLE_ENTITY, "it does not go on").into_response();
            }
        }
        // Whatever note line it is: what it says is that the witness saw this.
        *seen = Some(new);
        "— witness.test QUJDREVGR0g=\n".into_response()
    }

    /// Where it is.
    pub(super) async fn start() -> url::Url {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/add-checkpoint", post(add)).with_state(Seen::default());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

#[tokio::test]
async fn a_witness_cosigns_what_goes_on_and_finds_a_rollback_and_a_rewritten_database() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = by_the_book::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let of = |front: &Front| Witness::new(http.clone(), url.clone(), front.world.commands.clone());
    let (front, stop) = signing().await;
    for _ in 0..3 {
        front.world.admitted_of(front.world.owner).await;
        signed(&front).await;
        of(&front).round().await.unwrap();
    }
    let checkpoint = front.get("/api/v1/audit/checkpoint").await;
    assert!(checkpoint.body.as_str().unwrap().contains("\n— witness.test "), "{}", checkpoint.body);
    // One that forgot what the witness saw asks, and goes on.
    sqlx::query("delete from runtime.witness").execute(front.world.pool()).await.unwrap();
    front.world.admitted_of(front.world.owner).await;
    let newest = signed(&front).await;
    of(&front).round().await.unwrap();
    stop.cancel();

    // Another database with the same key: shorter, then with another past.
    let (other, stop) = signing().await;
    other.world.admitted_of(other.world.owner).await;
    assert!(signed(&other).await.checkpoint().size < newest.checkpoint().size);
    let found = of(&other).round().await.unwrap_err();
    assert!(matches!(found, NotCosigned::RolledBack { .. }), "{found}");
    while signed(&other).await.checkpoint().size <= newest.checkpoint().size {
        other.world.admitted_of(other.world.owner).await;
    }
    let found = of(&other).round().await.unwrap_err();
    assert!(matches!(found, NotCosigned::Forked { .. }), "{found}");
    stop.cancel();
    front.end().await;
    other.end().await;
}
