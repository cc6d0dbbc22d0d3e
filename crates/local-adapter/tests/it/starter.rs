//! What another test starts as a process of its own, to kill it.

use std::path::{Path, PathBuf};

use domain::{
    ids::{Generation, RunId, SessionId},
    workload::{Desired, Phase},
};
use local_adapter::{limits::Limits, run_with};
use tokio_util::sync::CancellationToken;

use crate::support::{Board, Cell, Installation};

/// This test program again, doing one of the things below.
pub(crate) fn starter(what: &str, dir: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("starter::{what}"), "--ignored", "--nocapture"]);
    command.env("PADDOCK_TEST_DIR", dir);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

fn dir() -> PathBuf {
    std::env::var_os("PADDOCK_TEST_DIR").expect("started by another test").into()
}

#[tokio::test]
#[ignore = "started by another test"]
async fn starts_a_sandbox_and_waits() {
    let text = std::env::var("PADDOCK_TEST_SCRIPT").unwrap();
    let sandbox = Cell::sandbox(&dir(), &text);
    let record =
        |name: &str, identity| local_adapter::processes::Recorded::record(&dir(), name, identity);
    sandbox.start(&Limits::without_groups(256, 256), record).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "started by another test"]
async fn runs_an_adapter() {
    let number = |name: &str| std::env::var(name).unwrap();
    let board = Board::default();
    board.want(Desired {
        run: RunId(number("PADDOCK_TEST_RUN").parse().unwrap()),
        session: SessionId(uuid::Uuid::nil()),
        generation: Generation(1),
        phase: Phase::Create,
        accept_unenforced: false,
        memory_mib: 256,
        disk_mib: 256,
        egress: "github".to_owned(),
        deadline_seconds: 3600,
        harness: domain::run::Harness::default(),
    });
    let config = Installation::config_in(&dir(), number("PADDOCK_TEST_UID").parse().unwrap());
    run_with(config, board, CancellationToken::new()).await;
}
