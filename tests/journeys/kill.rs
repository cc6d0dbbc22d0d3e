//! `kill -9` of every part at every point: the run ends all the same, once, and nothing is lost or left.
//!
//! `cargo test` plays a fixed part of the matrix; with PADDOCK_SOAK=1 all of it, in an order that
//! PADDOCK_SEED decides and that is printed.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::support::{Installation, PATIENCE, opencode_pid, program, signal};

/// Where in its life a run is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    Admitted,
    SandboxStarting,
    Restoring,
    FenceVerified,
    PromptAccepted,
    InToolCall,
    AwaitingInput,
    PushedBeforePullRequest,
    PullRequestMadeNotRecorded,
    BundleHalfUploaded,
}

/// What is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Serve,
    Up,
    Sidecar,
    OpenCode,
    Postgres,
    Nats,
}

const POINTS: [Point; 10] = [
    Point::Admitted,
    Point::SandboxStarting,
    Point::Restoring,
    Point::FenceVerified,
    Point::PromptAccepted,
    Point::InToolCall,
    Point::AwaitingInput,
    Point::PushedBeforePullRequest,
    Point::PullRequestMadeNotRecorded,
    Point::BundleHalfUploaded,
];
const PARTS: [Part; 6] =
    [Part::Serve, Part::Up, Part::Sidecar, Part::OpenCode, Part::Postgres, Part::Nats];

/// The part of the matrix that every test run plays: each part twice, each point at least once.
const FIXED: [(Point, Part); 12] = [
    (Point::Admitted, Part::Serve),
    (Point::SandboxStarting, Part::Up),
    (Point::Restoring, Part::Sidecar),
    (Point::FenceVerified, Part::Postgres),
    (Point::PromptAccepted, Part::Nats),
    (Point::InToolCall, Part::OpenCode),
    (Point::AwaitingInput, Part::Sidecar),
    (Point::PushedBeforePullRequest, Part::Serve),
    (Point::PullRequestMadeNotRecorded, Part::Postgres),
    (Point::BundleHalfUploaded, Part::Up),
    (Point::InToolCall, Part::Nats),
    (Point::PullRequestMadeNotRecorded, Part::OpenCode),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_survives_the_death_of_any_part_at_any_point() -> anyhow::Result<()> {
    let mut cases =
        if std::env::var_os("PADDOCK_SOAK").is_some() { whole() } else { FIXED.to_vec() };
    // One alone, such as OpenCode@InToolCall.
    if let Ok(only) = std::env::var("PADDOCK_CASE") {
        cases = whole();
        cases.retain(|(point, part)| format!("{part:?}@{point:?}") == only);
        ensure!(!cases.is_empty(), "there is no case {only}");
    }
    let mut failed = Vec::new();
    // Two at a time: each is a whole installation.
    while !cases.is_empty() {
        let next: Vec<_> = cases.drain(..cases.len().min(2)).collect();
        let mut playing = tokio::task::JoinSet::new();
        for (point, part) in next {
            playing.spawn(async move { (point, part, Instant::now(), play(point, part).await) });
        }
        for (point, part, since, result) in playing.join_all().await {
            let seconds = since.elapsed().as_secs();
            match result {
                Ok(()) => println!("{part:?} killed at {point:?}: ok, {seconds} s"),
                Err(error) => {
                    println!("{part:?} killed at {point:?}: FAILED, {seconds} s");
                    failed.push(format!("{part:?} killed at {point:?}: {error:#}"));
                }
            }
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// Every pair, in an order that the seed decides.
fn whole() -> Vec<(Point, Part)> {
    let given = std::env::var("PADDOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    println!("PADDOCK_SEED={seed}");
    let mut all: Vec<_> =
        POINTS.iter().flat_map(|point| PARTS.iter().map(|part| (*point, *part))).collect();
    // OpenCode does not run yet before the agent is ready.
    all.retain(|(point, part)| {
        *part != Part::OpenCode
            || !matches!(
                point,
                Point::Admitted | Point::SandboxStarting | Point::Restoring | Point::FenceVerified
            )
    });
    let mut state = seed | 1;
    for at in (1..all.len()).rev() {
        // xorshift64: any order will do, as long as the seed gives it again.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (at as u64 + 1)).unwrap_or(0);
        all.swap(at, other);
    }
    all
}

async fn play(point: Point, part: Part) -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    match point {
        Point::PushedBeforePullRequest => {
            paddock.forge_fault("POST", "/api/v3/repos", 502, 1).await?;
        }
        Point::PullRequestMadeNotRecorded => {
            paddock.forge_delay("POST", "/api/v3/repos", 4_000).await?;
        }
        _ => {}
    }
    let (scenario, profile) = match point {
        Point::AwaitingInput => ("ask-permission", "careful"),
        Point::InToolCall | Point::PromptAccepted => ("sleep", "default"),
        Point::BundleHalfUploaded => ("big-bundle", "default"),
        _ => ("leftovers", "default"),
    };
    let session = paddock.session("Survive").await?;
    let prompt = format!("[scenario: {scenario}] Go.");
    let run = paddock.run_with(&session, json!({ "prompt": prompt, "profile": profile })).await?;
    reach(&paddock, &run, point).await?;
    let events_before = paddock.events(&run).await.unwrap_or_default();
    kill(&mut paddock, &run, part).await?;
    let ended = end(&paddock, &run).await?;
    ensure!(ended["outcome"] == "succeeded", "{ended:#}\n{}", paddock.logs());

    let events = paddock.events(&run).await?;
    ensure!(
        events.starts_with(&events_before),
        "lost: {events_before:?} is no beginning of {events:?}"
    );
    let pulls = paddock.pull_requests().await?;
    ensure!(pulls.len() == 1, "{} pull requests", pulls.len());
    check_log(&paddock)?;
    nothing_is_left(&paddock, &run).await?;
    paddock.down().await
}

/// Waits until the run is at the point.
async fn reach(paddock: &Installation, run: &str, point: Point) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if is_at(paddock, run, point).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("never at {point:?}:\n{}", paddock.logs())
}

async fn is_at(paddock: &Installation, run: &str, point: Point) -> anyhow::Result<bool> {
    let happened = async |name: &str| -> anyhow::Result<bool> {
        Ok(paddock.events(run).await?.iter().any(|event| event == name))
    };
    match point {
        Point::Admitted => happened("run.admitted").await,
        Point::SandboxStarting => {
            Ok(paddock.data().join("runs").join(run).join("1/processes.json").exists())
        }
        Point::Restoring => happened("run.workload.created").await,
        Point::FenceVerified => happened("run.fence.verified").await,
        Point::PromptAccepted => happened("run.ready").await,
        Point::InToolCall => {
            let items = paddock.output(run).await?;
            Ok(items.iter().any(|item| {
                matches!(item, link::Item::Part { part, .. } if part["state"]["status"] == "running")
            }))
        }
        Point::AwaitingInput => happened("run.input.required").await,
        Point::PushedBeforePullRequest => happened("run.branch.pushed").await,
        Point::PullRequestMadeNotRecorded => Ok(paddock.pull_requests().await?.len() == 1),
        Point::BundleHalfUploaded => {
            let uploads = std::fs::read_dir(paddock.data().join("artifacts/partial"));
            Ok(uploads.is_ok_and(|mut uploads| uploads.next().is_some()))
        }
    }
}

async fn kill(paddock: &mut Installation, run: &str, part: Part) -> anyhow::Result<()> {
    match part {
        Part::Serve => paddock.kill_part("serve"),
        Part::Postgres => paddock.kill_part("postgres"),
        Part::Nats => paddock.kill_part("nats"),
        Part::Up => {
            paddock.kill_up().await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            paddock.up().await
        }
        Part::Sidecar => signal(sidecar(paddock, run).await?, "KILL"),
        Part::OpenCode => signal(opencode_pid(run)?, "KILL"),
    }
}

/// The sidecar's process, once there is one: it is started after the sandbox.
async fn sidecar(paddock: &Installation, run: &str) -> anyhow::Result<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        match paddock.sidecar_pid(run) {
            Err(_) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            found => return found,
        }
    }
}

/// Waits for the end, answering what is asked meanwhile.
async fn end(paddock: &Installation, run: &str) -> anyhow::Result<Value> {
    let until = Instant::now() + 2 * PATIENCE;
    loop {
        let now = paddock.get(&format!("runs/{run}")).await?;
        if !now["finished_at"].is_null() {
            return Ok(now);
        }
        if let Some(input) = now["inputs"][0]["id"].as_str() {
            let path = format!("runs/{run}/inputs/{input}");
            // It may be gone by the time the answer comes: then it is asked again.
            let _ =
                paddock.call(reqwest::Method::POST, &path, Some(json!({ "reply": "once" }))).await;
        }
        ensure!(Instant::now() < until, "never ended: {now:#}\n{}", paddock.logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn check_log(paddock: &Installation) -> anyhow::Result<()> {
    let checked = std::process::Command::new(program("paddock")?)
        .args(["log", "check", "--data-dir"])
        .arg(paddock.data())
        .output()?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    Ok(())
}

/// No process and no directory of the run is left once its removal is on the record.
async fn nothing_is_left(paddock: &Installation, run: &str) -> anyhow::Result<()> {
    paddock.removed(run).await?;
    let dir = paddock.data().join("runs").join(run);
    ensure!(!dir.exists(), "{} is left", dir.display());
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let text =
            String::from_utf8_lossy(&[read("cmdline"), read("mountinfo")].concat()).into_owned();
        ensure!(!text.contains(run), "process {} is left", entry.file_name().display());
    }
    Ok(())
}
