//! What passes through the proxy, and how.

use std::{sync::Arc, time::Duration};

use paddock_egress::{Kind, Mode, Policy, Verdict};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    network::{FakeNetwork, Listener, client_hello},
    world::{World, eventually, policy, within},
};

const PUBLIC: &str = "140.82.121.4";

struct Setting {
    world: World,
    network: Arc<FakeNetwork>,
    upstream: Listener,
    policy: Policy,
}

async fn setting(answer: &'static str, hosts: &[&str]) -> Setting {
    let hosts = hosts.iter().map(|host| host.parse().expect("a rule")).collect();
    setting_of(answer, Policy { hosts, ..policy("octo/hello", "x") }).await
}

async fn setting_of(answer: &'static str, policy: Policy) -> Setting {
    let network = FakeNetwork::new().await;
    let upstream = Listener::new(answer).await;
    network.name("allowed.example", &[&[PUBLIC]]);
    network.upstream(PUBLIC, upstream.address);
    let mut world = World::new().await.network(network.clone());
    world.start();
    world.open(std::slice::from_ref(&policy)).await;
    Setting { world, network, upstream, policy }
}

/// A tunnel that stands, with its ClientHello through.
async fn tunnel(setting: &Setting) -> UnixStream {
    let mut stream = setting.world.connect(&setting.policy).await;
    let hello = client_hello(&[&[b"allowed.example"]], false);
    stream
        .write_all(b"CONNECT allowed.example:443 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("written");
    let mut answer = [0; 19];
    within("an answer", stream.read_exact(&mut answer)).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK\r\nda");
    let mut byte = [0];
    let mut end = vec![];
    while !end.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.expect("a header");
        end.push(byte[0]);
    }
    // In two parts, as a network may cut it.
    let (first, second) = hello.split_at(20);
    stream.write_all(first).await.expect("written");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(setting.upstream.received(), b"", "nothing passes before the name is known");
    stream.write_all(second).await.expect("written");
    let mut echo = [0; 5];
    within("the other side's answer", stream.read_exact(&mut echo)).await.expect("an answer");
    assert_eq!(&echo, b"hello");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_to_an_allowed_host_passes_every_byte_both_ways() {
    let setting = setting("hello", &["allowed.example"]).await;
    let mut stream = tunnel(&setting).await;
    let hello = client_hello(&[&[b"allowed.example"]], false);
    assert_eq!(setting.upstream.received(), hello);
    stream.write_all(b"more").await.expect("written");
    let mut echo = [0; 5];
    within("the other side's answer", stream.read_exact(&mut echo)).await.expect("an answer");
    drop(stream);
    let decisions = setting.world.control.decisions_until(|all| all.len() == 1).await;
    let decision = &decisions[0];
    assert_eq!((decision.kind, decision.verdict), (Kind::Connect, Verdict::Allowed));
    assert_eq!((decision.host.as_str(), decision.port), ("allowed.example", 443));
    assert_eq!((decision.rule.as_str(), decision.status), ("allowed.example", Some(200)));
    assert_eq!((decision.bytes_up, decision.bytes_down), (hello.len() as u64 + 4, 10));
    assert_eq!(decision.address, Some(PUBLIC.parse().unwrap()));
    assert_eq!(setting.network.resolved(), ["allowed.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_list_counts_too_and_a_rule_may_name_a_port() {
    let network = FakeNetwork::new().await;
    let upstream = Listener::new("hello").await;
    network.upstream("8.8.4.4", upstream.address);
    let mut world = World::new().await.network(network.clone()).allow(&["list.example:8443"]);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    for (port, status) in [(8443, "200"), (443, "403")] {
        let hello = client_hello(&[&[b"LIST.example"]], false);
        let request = format!("CONNECT List.Example.:{port} HTTP/1.1\r\n\r\n");
        let mut stream = world.connect(&policy).await;
        stream.write_all(&[request.as_bytes(), &hello].concat()).await.expect("written");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer[9..], status.as_bytes());
    }
    eventually("the hello is there", || !upstream.received().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_gone_loses_its_tunnels_within_a_second() {
    let setting = setting("hello", &["allowed.example"]).await;
    let mut stream = tunnel(&setting).await;
    setting.world.control.set(vec![]);
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    let directory = setting.world.socket(&setting.policy).parent().expect("a directory").to_owned();
    eventually("the directory is gone", || !directory.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_when_its_host_leaves_the_list_or_the_run_is_suspended() {
    for suspended in [false, true] {
        let setting = setting("hello", &["allowed.example"]).await;
        let mut stream = tunnel(&setting).await;
        let mut changed = setting.policy.clone();
        changed.suspended = suspended;
        if !suspended {
            changed.hosts = vec!["other.example".parse().unwrap()];
        }
        setting.world.control.set(vec![changed]);
        let ended = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_grows_leaves_tunnels_alone() {
    let setting = setting("hello", &["allowed.example"]).await;
    let mut stream = tunnel(&setting).await;
    let mut changed = setting.policy.clone();
    changed.hosts.push("other.example".parse().unwrap());
    setting.world.control.set(vec![changed]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream.write_all(b"more").await.expect("written");
    let mut echo = [0; 5];
    within("the other side's answer", stream.read_exact(&mut echo)).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_named_by_what_was_checked() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nx-kept: 1\r\n\r\nok";
    let setting = setting(answer, &["allowed.example"]).await;
    let request = "GET http://Allowed.Example./path?q=1 HTTP/1.1\r\nhost: 127.0.0.1\r\n\
                   proxy-authorization: Basic eDp5\r\nproxy-connection: keep-alive\r\nx-own: 1\r\n\r\n\
                   GET http://allowed.example/second HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = setting.world.send_raw(&setting.policy, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-kept: 1") && !answer.contains("x-hop"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "one request a connection: {answer}");
    let sent = String::from_utf8(setting.upstream.received()).expect("text");
    assert!(sent.starts_with("GET /path?q=1 HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("host: allowed.example\r\n"), "{sent}");
    assert!(sent.contains("x-own: 1\r\n"), "{sent}");
    assert!(
        !sent.contains("proxy-") && !sent.contains("127.0.0.1") && !sent.contains("second"),
        "{sent}"
    );
    let decisions = setting.world.control.decisions_until(|all| all.len() == 1).await;
    assert_eq!((decisions[0].kind, decisions[0].port), (Kind::Http, 80));
    assert_eq!((decisions[0].bytes_down, decisions[0].status), (2, Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_is_a_bad_gateway() {
    let network = FakeNetwork::new().await;
    network.name("allowed.example", &[&[PUBLIC]]);
    network.name("nowhere.example", &[&[]]);
    network.upstream(PUBLIC, ([127, 0, 0, 1], 1).into());
    let mut world =
        World::new().await.network(network).allow(&["allowed.example", "nowhere.example"]);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    for request in [
        "CONNECT allowed.example:443 HTTP/1.1\r\nconnection: close\r\n\r\n",
        "CONNECT nowhere.example:443 HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET http://allowed.example/ HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://nowhere.example/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let answer = world.send_raw(&policy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{request}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_closed_to_tunnels_and_the_refusal_says_why() {
    let setting = setting("hello", &["allowed.example"]).await;
    for host in ["github.com", "api.github.com", "raw.githubusercontent.com"] {
        let request = format!("CONNECT {host}:443 HTTP/1.1\r\nconnection: close\r\n\r\n");
        let answer = setting.world.send_raw(&setting.policy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("git reaches this run's repository by its own route"), "{answer}");
    }
    assert_eq!(setting.network.resolved(), Vec::<String>::new(), "not even a name was looked up");
}

#[tokio::test(flavor = "multi_thread")]
async fn egress_full_opens_every_public_host_but_the_forge_and_nothing_private() {
    let full = Policy { egress: Mode::Full, ..policy("octo/hello", "x") };
    let setting = setting_of("hello", full).await;
    setting.network.name("inside.example", &[&["10.0.0.1"]]);
    setting.network.name("github.com", &[&[PUBLIC]]);
    let mut open = tunnel(&setting).await;
    for host in ["inside.example", "github.com", "169.254.169.254", "codeload.github.com"] {
        let mut stream = setting.world.connect(&setting.policy).await;
        let head = format!("CONNECT {host}:443 HTTP/1.1\r\nhost: {host}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = [0; 12];
        within("an answer", stream.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 403", "{host}");
    }
    // What is taken back is closed, not only refused from then on.
    let narrow = Policy { egress: Mode::Github, ..setting.policy.clone() };
    setting.world.control.set(vec![narrow]);
    let ended = tokio::time::timeout(Duration::from_secs(10), open.read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}
