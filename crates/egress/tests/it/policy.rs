//! Policies, with and without a control plane.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use axum::{Router, routing::any};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;

use crate::world::{MODEL_KEY, World, eventually, get, policy, serve, text, within};

async fn world() -> World {
    let router = Router::new().fallback(any(async || "an answer"));
    let model = serve(router).await;
    World::new().await.model(&format!("http://{model}/v1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_a_socket_that_its_sandbox_can_reach_and_others_cannot_list() {
    let mut world = world().await;
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let mode =
        |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    let socket = world.socket(&policy);
    assert_eq!(mode(&socket), 0o666);
    assert_eq!(mode(socket.parent().unwrap()), 0o755);
    assert_eq!(mode(socket.parent().unwrap().parent().unwrap()), 0o711);
    let response = world.send(&policy, get("/model/v1/models")).await;
    assert_eq!(text(response).await, "an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_policy_outlives_the_control_plane_and_a_restart_without_it() {
    let mut world = world().await;
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    world.control.down();
    let response = world.send(&policy, get("/model/v1/models")).await;
    assert_eq!(response.status(), 200, "the control plane is away");

    world.stop().await;
    let socket = world.socket(&policy);
    let directory = std::fs::File::open(socket.parent().unwrap()).expect("the directory stays");
    world.start();
    // The sandbox has this directory mounted, whatever is at its path now.
    let seen =
        format!("/proc/self/fd/{}/gateway.sock", std::os::fd::AsRawFd::as_raw_fd(&directory));
    eventually("the old directory leads to the new gateway", || {
        std::os::unix::net::UnixStream::connect(&seen).is_ok()
    })
    .await;
    let response = world.send(&policy, get("/model/v1/models")).await;
    assert_eq!(response.status(), 200, "restarted without it");

    let stored = std::fs::read_to_string(world.state().join("policies.json")).expect("stored");
    assert!(stored.contains("octo/hello") && !stored.contains(MODEL_KEY));
    let mode = world.state().join("policies.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // It comes back and knows the run no more.
    world.control.set(vec![]);
    world.control.up().await;
    eventually("the socket goes", || !socket.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_run_reads_why() {
    let mut world = world().await;
    world.start();
    let mut policy = policy("octo/hello", "x");
    policy.suspended = true;
    policy.hosts = vec!["allowed.example".parse().unwrap()];
    world.open(std::slice::from_ref(&policy)).await;
    for path in [
        "/model/v1/models",
        "/git/octo/hello.git/info/refs?service=git-upload-pack",
        "http://allowed.example/",
    ] {
        let response = world.send(&policy, get(path)).await;
        assert_eq!(response.status(), 403, "{path}");
        assert!(text(response).await.contains("is suspended"));
    }
    policy.suspended = false;
    world.control.set(vec![policy.clone()]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let response = world.send(&policy, get("/model/v1/models")).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_run_that_is_suspended_or_gone_ends_within_a_second() {
    for gone in [true, false] {
        let router = Router::new().fallback(any(async || {
            axum::body::Body::from_stream(futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::convert::Infallible>("data: x\n\n"), ()))
            }))
        }));
        let model = serve(router).await;
        let mut world = World::new().await.model(&format!("http://{model}"));
        world.start();
        let mut policy = policy("octo/hello", "x");
        world.open(std::slice::from_ref(&policy)).await;
        let io = TokioIo::new(world.connect(&policy).await);
        let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
        let connection = tokio::spawn(connection);
        let request = Request::post("/model/v1/chat/completions").header("host", "x");
        let request =
            request.body(http_body_util::Empty::<bytes::Bytes>::new()).expect("a request");
        let response = within("an answer", sender.send_request(request)).await.expect("an answer");
        tokio::time::sleep(Duration::from_millis(200)).await;
        policy.suspended = true;
        world.control.set(if gone { vec![] } else { vec![policy] });
        let reading = tokio::spawn(http_body_util::BodyExt::collect(response.into_body()));
        let ended = tokio::time::timeout(Duration::from_secs(1), reading).await;
        assert!(ended.expect("within a second").expect("no panic").is_err(), "cut, not finished");
        drop(connection);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_forgotten_runs_are_removed_and_a_lost_socket_is_made_again() {
    let mut world = world().await;
    let policy = policy("octo/hello", "x");
    let stale = world.socket(&crate::world::policy("octo/hello", "x"));
    std::fs::create_dir_all(stale.parent().unwrap()).expect("made");
    std::fs::write(&stale, b"").expect("written");
    let other = world.state().join("runs/not-a-run");
    std::fs::create_dir_all(&other).expect("made");
    world.start();
    world.open(std::slice::from_ref(&policy)).await;
    eventually("the stale directory is gone", || !stale.parent().unwrap().exists()).await;
    assert!(other.exists(), "what is no run's is left alone");

    let socket = world.socket(&policy);
    std::fs::remove_file(&socket).expect("removed");
    eventually("the socket is back", || socket.exists()).await;
    assert_eq!(world.send(&policy, get("/model/v1/models")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_with_a_long_path_works() {
    let mut world = world().await;
    let deep = world.dir.path().join("d".repeat(100)).join("e".repeat(100));
    world.sockets_at(&deep);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let directory = std::fs::File::open(world.socket(&policy).parent().unwrap()).expect("there");
    let path =
        format!("/proc/self/fd/{}/gateway.sock", std::os::fd::AsRawFd::as_raw_fd(&directory));
    eventually("it listens", || std::os::unix::net::UnixStream::connect(&path).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_served_where_it_was_asked_for() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut world = world().await.admin(free);
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let stream = tokio::net::TcpStream::connect(free).await.expect("it listens");
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let response = sender.send_request(get("/healthz")).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(text(response).await.contains("\"runs\":1"));
    within("the next turn", sender.ready()).await.expect("kept alive");
    let response = sender.send_request(get("/model/v1/models")).await.expect("an answer");
    assert_eq!(response.status(), 404);
    drop(sender);
    within("a clean end", world.stop()).await;
}
