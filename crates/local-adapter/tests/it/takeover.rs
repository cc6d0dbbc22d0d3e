//! Nothing depends on the life of whoever started it.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use domain::{
    ids::{Generation, RunId, SessionId},
    workload::{Desired, Phase},
};
use local_adapter::{Report, processes::Recorded, recorded};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    starter::starter,
    support::{Installation, directory, gateway, harness, traces, until},
};

#[tokio::test]
async fn a_sandbox_outlives_its_killed_starter_and_shows_nothing_of_its_environment() {
    const CANARY: &str = "canary-8c1f0e";
    const CONTROL: &str = "control-5a7d";
    let dir = directory();
    let text = format!(
        "CONTROL={CONTROL} sleep 1000 & sleep 0.2
         cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' >/workspace/seen
         ls -l /proc/1/fd >/workspace/open
         touch /workspace/done; while true; do date +%s%N >/workspace/beat; sleep 0.1; done"
    );
    // The starter was itself started with files open, as a shell may do it.
    let secret = dir.path().join("secret");
    fs::write(&secret, CANARY).unwrap();
    let starting = starter("starts_a_sandbox_and_waits", dir.path());
    let mut child = Command::new("bash")
        .args(["-c", "exec 7<\"$0\" 251<\"$0\"; exec \"$@\""])
        .arg(&secret)
        .arg(starting.get_program())
        .args(starting.get_args())
        .envs(starting.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.path().join("starter")).unwrap())
        .env("PADDOCK_TEST_SCRIPT", text)
        .env("SECRET", CANARY)
        .spawn()
        .unwrap();
    let path = |name: &str| dir.path().join("workspace").join(name);
    until("the sandbox looked", || path("done").exists()).await;
    let held = fs::read_link(format!("/proc/{}/fd/251", child.id()));
    let said = fs::read_to_string(dir.path().join("starter")).unwrap();
    assert_eq!(held.ok(), Some(secret), "the starter holds no file: {said}");
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = fs::read_to_string(path("seen")).unwrap();
    assert!(seen.contains(CONTROL), "the search is blind: {seen}");
    assert!(!seen.contains(CANARY) && !seen.contains("SECRET"), "{seen}");
    // Neither does it hold a file of the starter's open.
    let open = fs::read_to_string(path("open")).unwrap();
    let files: Vec<&str> =
        open.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    let log = dir.path().join("log");
    let known = |file: &str| {
        file == "/dev/null"
            || file.starts_with("/workspace")
            || log.ends_with(file.trim_start_matches('/'))
    };
    assert!(files.iter().all(|file| known(file) || file.ends_with("/log")), "{open}");
    let beat = || fs::read(path("beat")).unwrap_or_default();
    let before = beat();
    until("it goes on working", || !beat().is_empty() && beat() != before).await;
    let between = beat();
    until("it still does", || !beat().is_empty() && beat() != between).await;
    let init = Recorded::read(dir.path()).living("init").cloned().unwrap();
    init.kill().await;
    assert!(
        Recorded::read(dir.path())
            .get("sandbox")
            .unwrap()
            .gone_within(Duration::from_secs(5))
            .await
    );
}

#[tokio::test]
async fn the_next_adapter_takes_over_what_the_last_one_left() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let before = recorded(&installation.data());
    installation.stop().await;
    installation.start();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(recorded(&installation.data()), before);
    assert_eq!(installation.board.reports(run).len(), 1);
    installation.end(run, 1).await;
}

#[tokio::test]
async fn a_sidecar_that_died_without_an_adapter_is_started_by_the_next() {
    let mut installation = Installation::new(&harness(""));
    installation.start();
    let run = installation.want(|_| {});
    installation.created(run).await;
    let init = installation.process(run, 1, "init");
    installation.stop().await;
    installation.process(run, 1, "sidecar").unwrap().kill().await;
    installation.start();
    until("a sidecar", || installation.process(run, 1, "sidecar").is_some()).await;
    assert_eq!(installation.process(run, 1, "init"), init);
    installation.end(run, 1).await;
}

/// `kill -9` at whatever point: the next adapter ends up with one sandbox and one sidecar, or says that
/// the workload is lost; and nothing of an earlier attempt is left.
#[tokio::test]
async fn an_adapter_can_be_killed_at_any_point_of_making_a_workload() {
    let mut made = 0;
    for delay in [20, 40, 60, 80, 100, 130, 160, 200, 250, 300] {
        let mut installation = Installation::new(&harness(""));
        let run = RunId(Uuid::new_v4());
        gateway(&installation.dir.path().join("gateways"), run);
        let mut child = starter("runs_an_adapter", installation.dir.path())
            .env("PADDOCK_TEST_RUN", run.to_string())
            .env("PADDOCK_TEST_UID", installation.config().uid_base.to_string())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        installation.start();
        installation.board.want(Desired {
            run,
            session: SessionId(Uuid::nil()),
            generation: Generation(1),
            phase: Phase::Create,
            accept_unenforced: false,
            memory_mib: 256,
            disk_mib: 256,
            egress: "github".to_owned(),
            deadline_seconds: 3600,
            harness: domain::run::Harness::default(),
        });
        let created = installation
            .report(run, |report| match report {
                Report::Created(_) => Some(true),
                Report::Lost(_) => Some(false),
                Report::Refused(words) | Report::Over(words) => panic!("{delay} ms: {words}"),
                Report::Removed | Report::Waiting(_) | Report::Observed(..) => None,
            })
            .await;
        if created {
            made += 1;
            until("a sidecar", || installation.process(run, 1, "sidecar").is_some()).await;
            sleep(Duration::from_millis(300)).await;
            let init = installation.process(run, 1, "init").unwrap();
            let harnesses = traces(&run.to_string()).into_iter().filter(|trace| {
                let pid = trace.split('/').nth(2).and_then(|pid| pid.parse::<u32>().ok());
                let line = |pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                pid.is_some_and(|pid| {
                    trace.ends_with("mountinfo")
                        && String::from_utf8_lossy(&line(pid)).contains("1000")
                })
            });
            let harnesses: Vec<String> = harnesses.collect();
            assert_eq!(harnesses, [format!("/proc/{}/mountinfo", init.pid)], "{delay} ms");
            installation.end(run, 1).await;
        } else {
            installation.removed(run).await;
        }
        installation.nothing_is_left(run);
    }
    assert!(made > 0, "no attempt ended in a workload");
}
