//! A bomb in one run, work in another: only the first suffers.

use std::{fs, time::Duration};

use domain::ids::RunId;
use local_adapter::Report;
use tokio::time::sleep;

use crate::support::{Installation, is_root, until};

/// Both runs have this harness: what it does is said by a file in its workspace.
const OBEYS: &str = "touch /run/paddock/harness.sock
    until [ -e /workspace/script ]; do sleep 0.05; done
    trap \"exec perl -e '\\$x .= q(x) x 1048576 while 1'\" USR1
    sh /workspace/script
    exec sleep 1000";

/// Works for some seconds, and says so.
const WORK: &str = "for i in 1 2 3 4 5 6 7 8; do
        head -c 1000000 /dev/urandom | sha256sum >/workspace/sum-$i || exit 1
        perl -e 'exit(fork() ? 0 : 0)' || exit 1
        sleep 0.3
    done; echo done >/workspace/finished";

struct Pair {
    installation: Installation,
    bomb: RunId,
    bystander: RunId,
}

impl Pair {
    async fn start(bomb: &str) -> Self {
        Self::with_memory(128, bomb).await
    }

    async fn with_memory(memory_mib: u32, bomb: &str) -> Self {
        let mut installation = Installation::new(OBEYS);
        installation.start();
        let run = installation.want(|desired| {
            desired.memory_mib = memory_mib;
            desired.disk_mib = 64;
        });
        let bystander = installation.want(|_| {});
        for (run, text) in [(run, bomb), (bystander, WORK)] {
            installation.created(run).await;
            let script = installation.path_of(run, 1).join("workspace/script");
            // Seen whole or not at all.
            fs::write(script.with_extension("new"), text).unwrap();
            fs::rename(script.with_extension("new"), script).unwrap();
        }
        Self { installation, bomb: run, bystander }
    }

    /// The bystander did its work and still runs; both can be removed.
    async fn end(self) {
        let finished = self.installation.path_of(self.bystander, 1).join("workspace/finished");
        let reports = || self.installation.board.reports(self.bystander);
        until("the bystander finished", || finished.exists() || reports().len() > 1).await;
        assert!(finished.exists(), "{:?}: {}", reports(), self.installation.logs(self.bystander));
        assert!(self.installation.process(self.bystander, 1, "init").is_some());
        assert_eq!(self.installation.board.reports(self.bystander).len(), 1);
        self.installation.end(self.bystander, 1).await;
        let refused = |report: &(_, Report)| matches!(report.1, Report::Over(_));
        if self.installation.board.reports(self.bomb).iter().any(refused) {
            self.installation.removed(self.bomb).await;
        } else {
            self.installation.end(self.bomb, 1).await;
        }
        self.installation.nothing_is_left(self.bomb);
    }
}

#[tokio::test]
async fn a_fork_bomb_is_bounded() {
    // Each process says that it could not fork any more, and holds its place.
    let bomb = "perl -e 'while (1) { my $p = fork(); if (!defined $p) { open(F, \">/workspace/full\"); sleep 1 } }'";
    // With memory for all of them: it is their number that is bounded here.
    let pair = Pair::with_memory(1024, bomb).await;
    let full = pair.installation.path_of(pair.bomb, 1).join("workspace/full");
    until("it cannot fork any more", || full.exists()).await;
    let init = pair.installation.process(pair.bomb, 1, "init").unwrap();
    let count = local_adapter::processes::descendants(init.pid).len();
    assert!(count <= 1024, "{count} processes");
    pair.end().await;
}

#[tokio::test]
async fn a_memory_bomb_ends_itself() {
    let pair = Pair::start(
        "perl -e '$x .= \"x\" x 1048576 while 1'; echo $? >/workspace/ended; echo went on >/workspace/after",
    )
    .await;
    let workspace = pair.installation.path_of(pair.bomb, 1).join("workspace");
    if is_root() {
        until("it is killed", || workspace.join("after").exists()).await;
        assert_eq!(fs::read_to_string(workspace.join("ended")).unwrap().trim(), "137");
        assert!(pair.installation.process(pair.bomb, 1, "init").is_some());
    } else {
        // No control group to be had: it is watched.
        let words = pair.installation.over(pair.bomb).await;
        assert_eq!(words, "out of memory: 128 MiB are allowed");
    }
    pair.end().await;
}

/// Memory that several processes could share belongs to none of them alone.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_bomb_of_shared_memory_ends_itself() {
    // mmap and read, by their numbers.
    let pair = Pair::start(
        "perl -e 'open(Z, \"</dev/zero\"); while (1) {
             my $at = syscall(9, 0, 1 << 24, 3, 0x21, -1, 0); syscall(0, fileno(Z), $at, 1 << 24) }'
         echo $? >/workspace/ended",
    )
    .await;
    if is_root() {
        let ended = pair.installation.path_of(pair.bomb, 1).join("workspace/ended");
        until("it is killed", || fs::read_to_string(&ended).is_ok_and(|text| text == "137\n"))
            .await;
    } else {
        let words = pair.installation.over(pair.bomb).await;
        assert_eq!(words, "out of memory: 128 MiB are allowed");
    }
    pair.end().await;
}

#[tokio::test]
async fn a_memory_bomb_that_takes_the_first_process_with_it_is_not_a_lost_run() {
    // The harness itself is what the kernel kills: a run that is lost would only be tried again.
    let pair = Pair::start("kill -USR1 1").await;
    let words = pair.installation.over(pair.bomb).await;
    assert_eq!(words, "out of memory: 128 MiB are allowed");
    pair.end().await;
}

#[tokio::test]
async fn a_full_disk_ends_its_own_run() {
    let bomb = "i=0; while true; do i=$((i+1))
        dd if=/dev/zero of=/workspace/big-$i bs=1M count=16 2>/dev/null; sleep 0.05; done";
    let pair = Pair::start(bomb).await;
    let words = pair.installation.over(pair.bomb).await;
    assert_eq!(words, "the disk is full: 64 MiB are allowed");
    pair.installation.removed(pair.bomb).await;
    pair.end().await;
}

#[tokio::test]
async fn files_that_are_hidden_or_empty_count_too() {
    // A directory that nobody may read, and more files than 64 MiB are allowed to have.
    for bomb in [
        "mkdir /home/agent/a; dd if=/dev/zero of=/home/agent/a/b bs=1M count=60 2>/dev/null; chmod 000 /home/agent/a
         dd if=/dev/zero of=/run/paddock/c bs=1M count=20 2>/dev/null",
        "mkdir /workspace/many; cd /workspace/many; perl -e 'for (1..6000) { open(F, \">$_\") }'",
    ] {
        let pair = Pair::start(bomb).await;
        let words = pair.installation.over(pair.bomb).await;
        assert!(words.starts_with("the disk is full") || words.starts_with("too many files"), "{words}");
        pair.end().await;
    }
}

#[tokio::test]
async fn one_file_is_bounded_at_once_and_memory_backed_places_are() {
    let pair = Pair::start(
        "dd if=/dev/zero of=/tmp/big bs=1M count=300 2>/dev/null || echo tmp >>/workspace/refused
         dd if=/dev/zero of=/dev/shm/big bs=1M count=65 2>/dev/null || echo shm >>/workspace/refused
         rm -f /tmp/big /dev/shm/big
         truncate -s 65M /workspace/file || echo file >>/workspace/refused; touch /workspace/tried",
    )
    .await;
    let workspace = pair.installation.path_of(pair.bomb, 1).join("workspace");
    until("it tried", || workspace.join("tried").exists()).await;
    let refused = fs::read_to_string(workspace.join("refused")).unwrap();
    assert_eq!(refused, "tmp\nshm\nfile\n");
    sleep(Duration::from_millis(300)).await;
    let lost = |report: &(_, Report)| !matches!(report.1, Report::Created(_));
    assert!(!pair.installation.board.reports(pair.bomb).iter().any(lost));
    pair.end().await;
}
