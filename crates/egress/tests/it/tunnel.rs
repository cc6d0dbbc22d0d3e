//! The doors over TCP.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::workload::DOOR;
use paddock_egress::{Mode, Policy, Verdict};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    network::{FakeNetwork, Listener},
    world::{World, policy, within},
};

const CREDENTIAL: &str = "a-credential-of-one-run";

fn with_door(branch: &str) -> Policy {
    let door_sha256 = Some(hex::encode(Sha256::digest(CREDENTIAL)));
    Policy { door_sha256, ..policy("octo/hello", branch) }
}

async fn world(policies: &[Policy]) -> (World, SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut world = World::new().await.listen(free);
    world.start();
    world.open(policies).await;
    (world, free)
}

/// Asks for a door; the connection, and what was answered.
async fn ask(gateway: SocketAddr, target: &str, login: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(gateway).await.expect("the gateway listens");
    let login = BASE64_STANDARD.encode(login);
    let head = format!(
        "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: Basic {login}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\n") {
        match within("an answer", stream.read_u8()).await {
            Ok(byte) => answer.push(byte),
            Err(_) => break,
        }
    }
    (stream, String::from_utf8(answer).expect("text"))
}

#[tokio::test]
async fn the_credential_of_a_run_opens_its_own_door() {
    let mine = with_door("mine");
    let (world, gateway) = world(std::slice::from_ref(&mine)).await;
    let (mut inside, answer) = ask(gateway, DOOR, &format!("{}:{CREDENTIAL}", mine.run)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    inside.write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut begin = [0; 12];
    within("an answer", inside.read_exact(&mut begin)).await.expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 404");
    let recorded = |decisions: &[paddock_egress::Decision]| {
        decisions.iter().any(|one| one.run == mine.run && one.rule == "no-route")
    };
    world.control.decisions_until(recorded).await;
    // When the run is gone, so is what goes through its door.
    world.control.set(vec![]);
    let mut rest = vec![];
    within("the end", inside.read_to_end(&mut rest)).await.ok();
    let (_, answer) = ask(gateway, DOOR, &format!("{}:{CREDENTIAL}", mine.run)).await;
    assert!(answer.starts_with("HTTP/1.1 407"), "{answer}");
}

#[tokio::test]
async fn nothing_else_opens_a_door_and_nobody_learns_which_runs_there_are() {
    let (mine, other, without) = (with_door("mine"), policy("octo/hello", "x"), with_door("y"));
    let other = Policy { door_sha256: Some(hex::encode(Sha256::digest("another"))), ..other };
    let without = Policy { door_sha256: None, ..without };
    let (world, gateway) = world(&[mine.clone(), other.clone(), without.clone()]).await;
    let nobody = policy("octo/hello", "z").run;
    let mut answers = vec![];
    for login in [
        format!("{}:wrong", mine.run),
        format!("{}:{CREDENTIAL}", other.run),
        format!("{}:{CREDENTIAL}", without.run),
        format!("{nobody}:{CREDENTIAL}"),
        format!("{}:", mine.run),
        CREDENTIAL.to_owned(),
        String::new(),
    ] {
        let (_, answer) = ask(gateway, DOOR, &login).await;
        let (head, headers) = answer.split_once("\r\n").expect("a head");
        assert_eq!(head, "HTTP/1.1 407 Proxy Authentication Required", "{login}");
        answers.push(headers.lines().filter(|line| !line.starts_with("date")).collect::<String>());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Hosts are asked for inside the door only.
    let (_, answer) = ask(gateway, "github.com:443", &format!("{}:{CREDENTIAL}", mine.run)).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let tried = |decisions: &[paddock_egress::Decision]| {
        let of = |run| decisions.iter().any(|one| one.run == run && one.rule == "credential");
        [mine.run, other.run, without.run].into_iter().all(of)
    };
    let decisions = world.control.decisions_until(tried).await;
    assert!(decisions.iter().all(|one| one.verdict == Verdict::Refused), "{decisions:?}");
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a `CONNECT` to a public host is answered inside a run's door.
async fn through(gateway: SocketAddr, policy: &Policy, host: &str) -> String {
    let (mut inside, opened) = ask(gateway, DOOR, &format!("{}:{CREDENTIAL}", policy.run)).await;
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    let head = format!("CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n");
    inside.write_all(head.as_bytes()).await.expect("sent");
    let mut begin = [0; 12];
    within("an answer", inside.read_exact(&mut begin)).await.expect("an answer");
    String::from_utf8(begin.to_vec()).expect("text")
}

#[tokio::test]
async fn what_is_open_to_all_public_hosts_is_so_at_the_listener_for_it_alone() {
    let (narrow, wide) = (free(), free());
    let (network, upstream) = (FakeNetwork::new().await, Listener::new("hello").await);
    network.name("public.example", &[&["140.82.121.4"]]);
    network.upstream("140.82.121.4", upstream.address);
    let mut world = World::new().await.listen(narrow).full_listen(wide).network(network);
    world.start();
    let full = Policy { egress: Mode::Full, ..with_door("full") };
    let github = with_door("github");
    world.open(&[full.clone(), github.clone()]).await;
    assert_eq!(through(wide, &full, "public.example").await, "HTTP/1.1 200");
    // Neither a run that came by the listener for every run, nor one whose policy does not say so.
    assert_eq!(through(narrow, &full, "public.example").await, "HTTP/1.1 403");
    assert_eq!(through(wide, &github, "public.example").await, "HTTP/1.1 403");
}
