//! The record: complete over kills and outages, and without a secret.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use axum::{Router, routing::any};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use paddock_egress::Verdict;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    control::TOKEN,
    world::{FORGE_TOKEN, MODEL_KEY, World, eventually, get, policy, serve, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_decision_is_lost_when_the_gateway_is_killed_while_the_control_plane_is_away() {
    let router = Router::new().fallback(any(async |uri: axum::http::Uri| {
        if uri.path().ends_with("/models") {
            return axum::body::Body::from("an answer");
        }
        // A stream that stands when the gateway is killed.
        axum::body::Body::from_stream(futures::stream::unfold(0, |count| async move {
            if count > 0 {
                std::future::pending::<()>().await;
            }
            Some((Ok::<_, std::convert::Infallible>("data: x\n\n"), count + 1))
        }))
    }));
    let model = serve(router).await;
    let world = World::new().await.model(&format!("http://{model}"));
    let gateway = world.start_process();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    world.control.down();
    for _ in 0..20 {
        assert_eq!(world.send(&policy, get("/model/v1/models")).await.status(), 200);
        assert_eq!(world.send(&policy, get("/model/v1/files")).await.status(), 404);
    }
    let mut open = world.connect(&policy).await;
    open.write_all(b"POST /model/v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .expect("written");
    let mut start = [0; 12];
    open.read_exact(&mut start).await.expect("an answer");
    gateway.kill();

    // Killed once more, before anything could be reported.
    let gateway = world.start_process();
    eventually("it is back", || {
        std::os::unix::net::UnixStream::connect(world.socket(&policy)).is_ok()
    })
    .await;
    assert_eq!(world.send(&policy, get("/model/v1/models")).await.status(), 200);
    gateway.kill();
    let _gateway = world.start_process();
    world.control.up().await;

    let decisions = world.control.decisions_until(|all| all.len() >= 42).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.control.decisions().len(), 42, "each once");
    let mut counts = BTreeMap::new();
    for decision in &decisions {
        *counts.entry((decision.rule.as_str(), decision.status)).or_insert(0) += 1;
    }
    let expected =
        [(("model", None), 1), (("model", Some(200)), 21), (("model.path", Some(404)), 20)];
    assert_eq!(counts, BTreeMap::from(expected));
    assert!(
        decisions.iter().filter(|d| d.rule == "model.path").all(|d| d.verdict == Verdict::Refused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_record_on_disk_or_in_an_answer() {
    // A provider and a forge that quote whatever they were given.
    let router = Router::new().fallback(any(async |headers: axum::http::HeaderMap| {
        let given = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let given = given.unwrap_or_default();
        let decoded = given
            .strip_prefix("Basic ")
            .and_then(|text| BASE64_STANDARD.decode(text).ok())
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .unwrap_or_default();
        let (front, back) = given.split_at(given.len() / 2);
        // Over the border of two parts.
        let parts = [format!("{given} {decoded} {front}"), format!("{back} end")];
        let parts = futures::stream::iter(parts.map(Ok::<_, std::convert::Infallible>));
        ([("x-request-id", given)], axum::body::Body::from_stream(parts))
    }));
    let upstream = serve(router).await;
    let url = format!("http://{upstream}");
    let mut world = World::new().await.model(&url).git(&url);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let basic = BASE64_STANDARD.encode(format!("x-access-token:{FORGE_TOKEN}"));
    let secrets = ["agents-own-password", TOKEN, MODEL_KEY, FORGE_TOKEN, &basic];

    let mut answers = String::new();
    for path in [
        "/model/v1/models",
        "/git/octo/hello.git/info/refs?service=git-upload-pack",
        "/git/octo/other.git/info/refs?service=git-upload-pack",
        "/model/v1/files",
        "http://sk-control-canary.example/",
        "http://user:agents-own-password@elsewhere.example/",
    ] {
        let response = world.send(&policy, get(path)).await;
        let _ = write!(answers, "{:?}", response.headers());
        answers.push_str(&text(response).await);
    }
    assert!(answers.contains("****") && answers.contains(" end"), "{answers}");
    world.control.decisions_until(|all| all.len() == 6).await;
    let mut kept = world.control.heard();
    for entry in std::fs::read_dir(world.state()).expect("a directory").flatten() {
        if entry.path().is_file() {
            kept.push_str(&std::fs::read_to_string(entry.path()).expect("text"));
        }
    }
    // What an agent puts into a host is kept, or this test would look in the wrong place.
    assert!(kept.contains("sk-control-canary") && kept.contains("elsewhere.example"));
    for secret in secrets {
        assert!(!answers.contains(secret), "{secret} in {answers}");
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
}
