//! A workload from its making to its removal.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    time::Duration,
};

use domain::{ids::Generation, workload::Phase};
use local_adapter::{Report, recorded, shutdown_all};
use rustix::process::Signal;

use crate::support::{Installation, harness, is_root, program, script, until};

fn uid(path: impl AsRef<std::path::Path>) -> u32 {
    fs::metadata(path).unwrap().uid()
}

#[tokio::test]
async fn it_is_made_kept_and_removed_and_nothing_is_left() {
    // What an agent may leave: directories that nobody may read, and very deep ones.
    let hostile = "mkdir -p /workspace/closed/a /home/agent/closed && touch /workspace/closed/a/b
        chmod 000 /workspace/closed /home/agent/closed
        perl -e 'chdir \"/workspace\"; for (1..3000) { mkdir \"deep-directory\"; chdir \"deep-directory\" }'
        ln -s / /workspace/root; touch /workspace/ready";
    let mut installation = Installation::new(&harness(hostile));
    installation.start();
    let run = installation.want(|_| {});
    let enforcement = installation.created(run).await;
    assert_eq!(enforcement.sandbox, "bubblewrap");
    if is_root() {
        assert_eq!(enforcement.limits, ["memory", "pids", "cpu", "disk"]);
        assert!(enforcement.missing.is_empty());
    } else {
        assert_eq!(enforcement.limits, ["pids", "disk"]);
        assert_eq!(enforcement.missing, ["memory", "cpu"]);
    }
    let dir = installation.path_of(run, 1);
    until("the hostile files", || dir.join("workspace/ready").exists()).await;
    let of_run = recorded(&installation.data());
    assert_eq!(of_run.len(), 1);
    for name in ["sandbox", "init", "sidecar"] {
        assert!(of_run[0].processes.living(name).is_some(), "{name}");
    }
    // The control of `nothing_is_left`: there is something now.
    assert!(!crate::support::traces(&run.to_string()).is_empty());
    installation.end(run, 1).await;
    assert_eq!(installation.board.reports(run).len(), 2);
}

#[tokio::test]
async fn each_side_has_its_own_uid_and_its_own_files() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let runs = [installation.want(|_| {}), installation.want(|_| {})];
    for run in runs {
        installation.created(run).await;
    }
    let mut uids = Vec::new();
    for run in runs {
        let dir = installation.path_of(run, 1);
        let agent = uid(format!("/proc/{}", installation.process(run, 1, "init").unwrap().pid));
        let sidecar = installation.process(run, 1, "sidecar").unwrap().pid;
        let status = fs::read_to_string(format!("/proc/{sidecar}/status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let sidecar = uid(format!("/proc/{sidecar}"));
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((uid(dir.join("home")), mode("home")), (agent, 0o700));
        assert_eq!((uid(dir.join("workspace")), mode("workspace")), (agent, 0o700));
        assert_eq!((uid(dir.join("harness")), mode("harness")), (agent, 0o710));
        assert_eq!((uid(dir.join("sidecar")), mode("sidecar")), (sidecar, 0o700));
        assert_eq!((uid(dir.join("sidecar/identity")), mode("sidecar/identity")), (sidecar, 0o400));
        assert_eq!(fs::metadata(dir.join("harness")).unwrap().gid(), gid_of(sidecar));
        uids.extend([agent, sidecar]);
    }
    if is_root() {
        assert!(!uids.contains(&0), "{uids:?}");
        uids.sort_unstable();
        uids.dedup();
        assert_eq!(uids.len(), 4, "{uids:?}");
    }
    for run in runs {
        installation.end(run, 1).await;
    }
}

fn gid_of(sidecar: u32) -> u32 {
    if is_root() { sidecar } else { rustix::process::getegid().as_raw() }
}

#[tokio::test]
async fn a_killed_sidecar_comes_back_on_its_spool() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let dir = installation.path_of(run, 1);
    let (init, mut sidecar) =
        (installation.process(run, 1, "init"), installation.process(run, 1, "sidecar").unwrap());
    let identity = fs::read(dir.join("sidecar/identity")).unwrap();
    fs::write(dir.join("sidecar/spooled"), "frames").unwrap();
    for times in 2..5 {
        sidecar.signal(Signal::KILL);
        until("another sidecar", || {
            installation.process(run, 1, "sidecar").is_some_and(|now| now != sidecar)
        })
        .await;
        // Not only something that is about to be it.
        let said = || fs::read_to_string(dir.join("sidecar.log")).unwrap_or_default();
        until("it works", || said() == "started\n".repeat(times)).await;
        sidecar = installation.process(run, 1, "sidecar").unwrap();
    }
    assert_eq!(installation.process(run, 1, "init"), init);
    assert_eq!(fs::read(dir.join("sidecar/identity")).unwrap(), identity);
    assert!(dir.join("sidecar/spooled").exists());
    assert_eq!(installation.board.reports(run).len(), 1, "{:?}", installation.board.reports(run));
    installation.end(run, 1).await;
}

#[tokio::test]
async fn a_killed_sandbox_is_lost_and_the_next_generation_replaces_it() {
    for killed in ["init", "sandbox"] {
        lost_and_replaced(killed).await;
    }
}

async fn lost_and_replaced(killed: &str) {
    let mut installation = Installation::new(&harness("sleep 1000 & sleep 1000 &"));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    installation.process(run, 1, killed).unwrap().signal(Signal::KILL);
    let reason = installation
        .report(run, |report| match report {
            Report::Lost(reason) => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert!(reason.starts_with("the sandbox ended"), "{reason}");
    let again = installation.want(|desired| {
        desired.run = run;
        desired.generation = Generation(2);
    });
    assert_eq!(again, run);
    until("the second generation", || installation.process(run, 2, "sidecar").is_some()).await;
    until("the first is gone", || !installation.path_of(run, 1).exists()).await;
    installation.end(run, 2).await;
}

#[tokio::test]
async fn a_superseded_generation_that_still_lives_is_ended() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let first = installation.process(run, 1, "init").unwrap();
    installation.want(|desired| {
        desired.run = run;
        desired.generation = Generation(2);
    });
    until("the second generation", || installation.process(run, 2, "init").is_some()).await;
    assert!(!first.is_alive());
    until("the first is gone", || !installation.path_of(run, 1).exists()).await;
    installation.end(run, 2).await;
}

#[tokio::test]
async fn what_nobody_asked_for_goes_but_not_at_once() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let init = installation.process(run, 1, "init").unwrap();
    installation.board.forget(run);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(init.is_alive(), "a list that is short for a moment ended a run");
    let dir = installation.data().join("runs").join(run.to_string());
    until("it is gone", || !dir.exists()).await;
    installation.nothing_is_left(run);
}

#[tokio::test]
async fn a_workload_that_cannot_be_made_is_refused_in_words() {
    let mut installation = Installation::new(&harness(""));
    fs::remove_file(installation.dir.path().join("opencode")).unwrap();
    installation.start();
    let run = installation.want(|_| {});
    let words = installation.refused(run).await;
    assert!(words.contains("opencode"), "{words}");
    installation.removed(run).await;
    installation.nothing_is_left(run);
}

#[tokio::test]
async fn a_profile_that_accepts_unenforced_gets_what_there_is() {
    // The harness is told where things are, inside a sandbox and out.
    let mut installation = Installation::new(
        "while [ $# -gt 0 ]; do case $1 in --socket) socket=$2;; --home) home=$2;; esac; shift; done
         touch $socket; id -u >$home/uid; ulimit -f >$home/limit; sleep 1000 & exec sleep 1000",
    );
    fs::remove_file(installation.dir.path().join("opencode")).unwrap();
    installation.start();
    let run = installation.want(|desired| desired.accept_unenforced = true);
    let enforcement = installation.created(run).await;
    assert_eq!(enforcement.sandbox, "none");
    assert!(enforcement.missing.iter().any(|name| name == "sandbox"), "{enforcement:?}");
    let home = installation.path_of(run, 1).join("home");
    let own = uid(&home);
    until("the uid", || fs::read_to_string(home.join("limit")).is_ok_and(|text| !text.is_empty()))
        .await;
    assert_eq!(fs::read_to_string(home.join("uid")).unwrap().trim(), own.to_string());
    assert_ne!(own, 0);
    assert_ne!(fs::read_to_string(home.join("limit")).unwrap().trim(), "unlimited");
    installation.end(run, 1).await;
}

#[tokio::test]
async fn without_a_gateway_nothing_is_made() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    let socket = installation.dir.path().join(format!("gateways/{run}/gateway.sock"));
    fs::remove_file(&socket).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    if installation.board.reports(run).is_empty() {
        fs::write(socket, "").unwrap();
    }
    installation.created(run).await;
    installation.end(run, 1).await;
}

#[tokio::test]
async fn shutting_down_ends_every_process_and_keeps_the_directories() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let runs = [installation.want(|_| {}), installation.want(|_| {})];
    for run in runs {
        installation.created(run).await;
    }
    installation.stop().await;
    shutdown_all(&installation.data()).await;
    for run in runs {
        assert_eq!(crate::support::traces(&run.to_string()), Vec::<String>::new());
        assert!(installation.path_of(run, 1).exists());
    }
    // The next start finds them lost, and removes them.
    installation.start();
    for run in runs {
        installation.removed(run).await;
        installation.nothing_is_left(run);
    }
}

#[tokio::test]
async fn an_ended_runs_sidecar_may_say_its_last_words() {
    let mut installation = Installation::new(&harness(""));
    script(
        &installation.dir.path().join("paddock"),
        "until [ -e $0.end ]; do sleep 0.05; done; sleep 1; echo said >$0.said",
    );
    fs::set_permissions(installation.dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    fs::write(installation.dir.path().join("paddock.end"), "").unwrap();
    installation.board.want(domain::workload::Desired {
        run,
        session: domain::ids::SessionId(uuid::Uuid::new_v4()),
        generation: Generation(1),
        phase: Phase::Remove,
        accept_unenforced: false,
        memory_mib: 256,
        disk_mib: 256,
        egress: "github".to_owned(),
        deadline_seconds: 3600,
        harness: domain::run::Harness::default(),
    });
    installation.removed(run).await;
    assert!(installation.dir.path().join("paddock.said").exists());
    installation.nothing_is_left(run);
}

/// As root, a checkout below /root is closed to the sidecar's uid.
#[tokio::test]
async fn a_program_in_a_closed_directory_is_started_all_the_same() {
    let mut installation = Installation::new(&harness(""));
    let closed = installation.dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    // A script is read by its own uid once more; a program is not.
    program("/usr/bin/tail".as_ref(), &closed.join("paddock"));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(installation.dir.path().join("paddock")).unwrap();
    std::os::unix::fs::symlink(closed.join("paddock"), installation.dir.path().join("paddock"))
        .unwrap();
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let log = installation.path_of(run, 1).join("sidecar.log");
    // `tail` does not know the sidecar's options, and says so by its name: it was started.
    until("tail complains", || {
        fs::read_to_string(&log).is_ok_and(|text| {
            text.contains("option '--run'") || text.contains("unrecognized option")
        })
    })
    .await;
    installation.end(run, 1).await;
}

#[tokio::test]
async fn a_data_directory_that_is_closed_to_runs_is_refused_with_the_remedy() {
    let mut installation = Installation::new(&harness(""));
    fs::set_permissions(installation.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    installation.start();
    let run = installation.want(|_| {});
    if is_root() {
        let words = installation.refused(run).await;
        assert!(words.contains("closed to the uids of runs"), "{words}");
        installation.removed(run).await;
    } else {
        // A user's runs have the user's own uid.
        installation.created(run).await;
        installation.end(run, 1).await;
    }
    installation.nothing_is_left(run);
}
