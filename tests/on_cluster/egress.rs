//! More than GitHub: for a reason, through the gateway, and taken back at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

use crate::cluster::{World, host};

/// A host on the internet, played by a listener of this test: it counts who comes and never stops answering.
struct PublicHost {
    address: String,
    reached: Arc<AtomicUsize>,
}

impl PublicHost {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((host(), 0)).await?;
        let (address, reached) =
            (listener.local_addr()?.to_string(), Arc::new(AtomicUsize::new(0)));
        let counts = reached.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counts.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nit is open\n";
                    let _ = stream.write_all(head.as_bytes()).await;
                    while stream.write_all(b"and goes on\n").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                });
            }
        });
        Ok(Self { address, reached })
    }
}

/// Asks the proxy inside the sandbox for a host, as any program there would; reads until that ends.
fn ask(host: &str) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://{host}/ HTTP/1.1\\r\\nhost: {host}\\r\\n\\r\\n' >&3; cat <&3"
    )
}

/// The first lines of what it is answered.
fn begin(host: &str) -> String {
    format!("{{ {}; }} | timeout 5 head -n 12", ask(host))
}

async fn put(world: &World, path: &str, body: Value) -> anyhow::Result<(StatusCode, Value)> {
    world.paddock.call(Method::PUT, path, Some(body)).await
}

#[tokio::test]
async fn full_egress_opens_public_hosts_for_a_reason_and_closes_them_when_it_is_taken_back()
-> anyhow::Result<()> {
    let public = PublicHost::start().await?;
    let played =
        format!("public.example=93.184.215.14={0},private.example=10.9.9.9={0}", public.address);
    let world = World::start_with(&[("PADDOCK_PLAYED_HOSTS", &played)]).await?;
    let session = world.paddock.session("More").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let asked = async |host: &str| -> anyhow::Result<String> {
        Ok(world.inside(&pod, "harness", &begin(host)).await?.1)
    };

    let refused = asked("public.example").await?;
    ensure!(refused.contains("403") && refused.contains("egress full"), "{refused}");
    ensure!(!world.connects(&pod, "harness", &world.full).await?, "the wide door is open");

    let path = format!("runs/{run}/egress");
    let (status, problem) = put(&world, &path, json!({ "mode": "full" })).await?;
    ensure!(status == 422 && problem["type"].to_string().contains("reason"), "{problem}");
    let wide = json!({ "mode": "full", "reason": "It needs the package index" });
    let (status, done) = put(&world, &path, wide).await?;
    ensure!(status == 202, "{done}");
    world
        .eventually("a public host is reached", async |_| {
            Ok(asked("public.example").await?.contains("it is open"))
        })
        .await?;
    ensure!(world.connects(&pod, "harness", &world.full).await?, "the wide door is shut");
    for shut in ["private.example", "github.com", "169.254.169.254"] {
        let answer = asked(shut).await?;
        ensure!(answer.contains("403"), "{shut}: {answer}");
    }
    ensure!(!world.connects(&pod, "harness", &world.canary).await?, "the canary is reached");
    let shown = world.paddock.get(&format!("runs/{run}")).await?;
    ensure!(shown["egress"] == "full", "{shown:#}");
    ensure!(shown["egress_changed"]["reason"] == "It needs the package index", "{shown:#}");

    // What is open is closed, and what comes after is refused.
    let open = async {
        let line = format!("timeout 60 bash -c \"{}\"", ask("public.example").replace('"', "\\\""));
        let _ = world.inside(&pod, "harness", &line).await;
        Instant::now()
    };
    let take_back = async {
        let before = public.reached.load(Ordering::SeqCst);
        world
            .eventually("a connection is open", async |_| {
                Ok(public.reached.load(Ordering::SeqCst) > before)
            })
            .await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (status, done) = put(&world, &path, json!({ "mode": "github" })).await?;
        ensure!(status == 202, "{done}");
        Ok(Instant::now())
    };
    let (ended, asked_for) = tokio::join!(open, take_back);
    let took = ended.saturating_duration_since(asked_for?);
    ensure!(took < Duration::from_secs(10), "it was closed after {took:?}");
    let reached = public.reached.load(Ordering::SeqCst);
    let refused = asked("public.example").await?;
    ensure!(refused.contains("403"), "{refused}");
    ensure!(public.reached.load(Ordering::SeqCst) == reached, "it was reached once more");
    world
        .eventually("the wide door is shut", async |world| {
            Ok(!world.connects(&pod, "harness", &world.full).await?)
        })
        .await?;

    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}

#[tokio::test]
async fn a_run_begins_with_full_egress_where_that_was_asked_for() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Wide from the start").await?;
    let body = json!({
        "prompt": "[scenario: never-finish] Go.", "egress": "full", "egress_reason": "To look something up",
    });
    let run = world.paddock.run_with(&session, body).await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    ensure!(world.connects(&pod, "harness", &world.full).await?, "the wide door is shut");
    ensure!(!world.connects(&pod, "harness", &world.canary).await?, "the canary is reached");
    let events = world.paddock.events(&run).await?;
    ensure!(events.iter().any(|event| event == "run.egress.mode.changed"), "{events:?}");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}
