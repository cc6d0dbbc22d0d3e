use std::{fs, time::Duration};

use harness::wire::{Agent, Status};

use crate::support::{Harness, Sandbox, children, descendants, is_alive, kill, pids, wait_for};

/// An agent that runs, and something that it orphaned.
async fn with_orphan(sandbox: &Sandbox) -> (Harness, u32) {
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let session = harness.session().await;
    let command =
        "run: setsid sh -c 'echo $$ > orphan; exec sleep 1000' > /dev/null 2>&1 & sleep 0.3";
    harness.turn(&session, command).await;
    let orphan = pids(&sandbox.repository().join("orphan"))[0];
    assert!(is_alive(orphan));
    (harness, orphan)
}

#[tokio::test]
async fn without_an_agent_a_sigterm_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let mut harness = sandbox.harness().await;
    let all = descendants(harness.child.id());
    assert_eq!(all.len(), 1, "an init and a server");
    harness.signal("-TERM");
    assert!(harness.ended(Duration::from_secs(3)).await.unwrap().success());
    assert!(!is_alive(all[0]));
    // A socket that is left behind is replaced.
    let harness = sandbox.harness().await;
    harness.end().await;
}

#[tokio::test]
async fn a_sigterm_is_held_until_the_last_snapshot_is_fetched() {
    let sandbox = Sandbox::new();
    let (mut harness, orphan) = with_orphan(&sandbox).await;
    // One taken before does not count.
    harness.bundle().await;
    let all = descendants(harness.child.id());
    harness.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    harness.discard().await;
    assert!(harness.ended(Duration::from_secs(2)).await.is_none(), "it did not wait");
    assert!(matches!(harness.status().await, Agent::Running { .. }));
    harness.bundle().await;
    assert!(harness.ended(Duration::from_secs(1)).await.is_none(), "it did not wait");
    harness.discard().await;
    assert!(harness.ended(Duration::from_secs(15)).await.unwrap().success());
    assert!(!all.iter().chain([&orphan]).any(|pid| is_alive(*pid)));
}

#[tokio::test]
async fn a_sigterm_is_held_until_the_agent_is_stopped() {
    let sandbox = Sandbox::new();
    let (mut harness, orphan) = with_orphan(&sandbox).await;
    harness.signal("-TERM");
    assert!(harness.ended(Duration::from_secs(1)).await.is_none(), "it did not wait");
    harness.post::<Status>("agent/stop", &()).await.unwrap();
    assert!(harness.ended(Duration::from_secs(5)).await.unwrap().success());
    assert!(!is_alive(orphan));
}

#[tokio::test]
async fn a_killed_server_takes_everything_with_it_and_so_does_a_killed_init() {
    let sandbox = Sandbox::new();
    for victim in ["server", "init"] {
        let (mut harness, orphan) = with_orphan(&sandbox).await;
        let server = children(harness.child.id())[0];
        if victim == "server" {
            kill(server, "-KILL");
            let status = harness.ended(Duration::from_secs(5)).await.unwrap();
            assert_eq!(status.code(), Some(128 + 9));
            assert!(!is_alive(orphan));
        } else {
            harness.signal("-KILL");
            harness.ended(Duration::from_secs(5)).await.unwrap();
            wait_for("the server's end", || !is_alive(server)).await;
            // In a sandbox the kernel ends the rest with PID 1; here nobody does.
            for pid in started_in(&sandbox) {
                kill(pid, "-KILL");
            }
        }
    }
}

#[tokio::test]
async fn orphans_are_reaped_and_no_zombie_stays() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let session = harness.session().await;
    let command = "run: for i in 1 2 3 4 5; do setsid sh -c 'echo $$ >> orphans; sleep 0.3' & done; sleep 0.1";
    harness.turn(&session, command).await;
    let orphans = pids(&sandbox.repository().join("orphans"));
    assert_eq!(orphans.len(), 5);
    // Not even as a zombie.
    wait_for("the orphans' end", || {
        !orphans.iter().any(|pid| fs::exists(format!("/proc/{pid}")).unwrap())
    })
    .await;
    harness.end().await;
}

/// Processes that work in the sandbox's directories.
fn started_in(sandbox: &Sandbox) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inside = |pid: &u32| {
        let dir = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        dir.starts_with(sandbox.dir.path())
    };
    pids.filter(inside).collect()
}
