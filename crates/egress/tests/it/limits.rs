//! Bounds on what a sandbox can make the gateway hold.

use std::time::{Duration, Instant};

use paddock_egress::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    network::{FakeNetwork, Listener, client_hello},
    world::{World, get, policy, text},
};

async fn world() -> (World, paddock_egress::Policy) {
    let mut world = World::new().await;
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    (world, policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_has_so_many_connections_and_no_more() {
    let (world, policy) = world().await;
    let other = crate::world::policy("octo/other", "x");
    world.open(&[policy.clone(), other.clone()]).await;
    let mut held = vec![];
    for _ in 0..256 {
        let mut stream = world.connect(&policy).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.expect("an answer");
        held.push(stream);
    }
    let answer = world.send_raw(&policy, b"").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("(rule connections)\n"), "{answer}");
    assert_eq!(world.send(&other, get("/")).await.status(), 404, "another run is served");
    held.pop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.send(&policy, get("/")).await.status(), 404, "a place is free again");
    let rule = |d: &paddock_egress::Decision| d.rule == "connections";
    world.control.decisions_until(|all| all.iter().any(rule)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded() {
    let (world, policy) = world().await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(300_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(200));
    for request in [long, many] {
        let answer = world.send_raw(&policy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dawdles_is_cut_off() {
    let network = FakeNetwork::new().await;
    let upstream = Listener::new("hello").await;
    network.upstream("8.8.4.4", upstream.address);
    let mut world = World::new().await.network(network).allow(&["allowed.example"]);
    let soon = Duration::from_millis(400);
    world.limits = Limits { head: soon, hello: soon, updates: soon, idle: soon };
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let connect = b"CONNECT allowed.example:443 HTTP/1.1\r\n\r\n";
    let hello = client_hello(&[&[b"allowed.example"]], false);
    for (what, bytes) in [
        ("nothing at all", vec![]),
        ("half a head", b"GET / HTTP/1.1\r\nhost:".to_vec()),
        ("nothing after an answer", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        (
            "half a list of updates",
            b"POST /git/octo/hello.git/git-receive-pack HTTP/1.1\r\nhost: x\r\n\
              connection: close\r\ncontent-length: 1000\r\n\
              content-type: application/x-git-receive-pack-request\r\n\r\n00a0"
                .to_vec(),
        ),
        ("a tunnel without a first message", connect.to_vec()),
        ("a tunnel with half of it", [&connect[..], &hello[..30]].concat()),
        ("a tunnel gone quiet", [&connect[..], &hello].concat()),
    ] {
        let mut stream = world.connect(&policy).await;
        stream.write_all(&bytes).await.expect("written");
        let began = Instant::now();
        let mut answer = vec![];
        let reading = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(8), reading).await;
        assert!(ended.is_ok(), "{what}: still open after {:?}", began.elapsed());
        assert!(began.elapsed() >= Duration::from_millis(300), "{what}: not that soon");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_refused_push_gets_its_answer() {
    let (world, policy) = world().await;
    let body = [&b"0001"[..], &vec![7; 8_000_000]].concat();
    let request = hyper::Request::post("/git/octo/hello.git/git-receive-pack")
        .header("host", "x")
        .header("content-type", "application/x-git-receive-pack-request")
        .body(http_body_util::Full::new(bytes::Bytes::from(body)))
        .expect("a request");
    let response = world.send(&policy, request).await;
    assert_eq!(response.status(), 403);
    assert!(text(response).await.contains("(rule git.malformed)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_counts_as_a_connection_until_it_ends() {
    let network = FakeNetwork::new().await;
    let upstream = Listener::new("hello").await;
    network.upstream("8.8.4.4", upstream.address);
    let mut world = World::new().await.network(network).allow(&["allowed.example"]);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let hello = client_hello(&[&[b"allowed.example"]], false);
    let mut held = vec![];
    for _ in 0..256 {
        let mut stream = world.connect(&policy).await;
        let head = b"CONNECT allowed.example:443 HTTP/1.1\r\n\r\n";
        stream.write_all(&[&head[..], &hello].concat()).await.expect("written");
        let mut answer = vec![];
        while !answer.ends_with(b"hello") {
            answer.push(stream.read_u8().await.expect("an answer"));
        }
        held.push(stream);
    }
    let answer = world.send_raw(&policy, b"").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.send(&policy, get("/")).await.status(), 404, "places are free again");
}
