use std::fs;

use harness::wire::{Changes, ChangesRequest, MAX_DIFF_BYTES, StepErrorKind};

use crate::support::{Harness, Sandbox, git_in, output_of};

pub(crate) async fn changes(harness: &Harness) -> Changes {
    harness.post("changes", &ChangesRequest { base: "main".into() }).await.unwrap()
}

#[tokio::test]
async fn the_diff_has_what_is_committed_staged_modified_and_untracked_and_touches_nothing() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    let base = output_of(&repository, &["rev-parse", "HEAD"]).trim().to_owned();
    assert_eq!(changes(&harness).await.diff, "");
    // What others did to the base since is not part of it.
    sandbox.forge.commit("main", &[("others.txt", "x\n")], "Of others");
    git_in(
        &repository,
        &[
            "fetch",
            "--quiet",
            &sandbox.forge.widget().to_string_lossy(),
            "main:refs/remotes/origin/main",
        ],
    );
    fs::write(repository.join("committed.txt"), "1\n").unwrap();
    git_in(&repository, &["add", "."]);
    git_in(&repository, &["commit", "--quiet", "--message", "One"]);
    fs::write(repository.join("staged.txt"), "2\n").unwrap();
    git_in(&repository, &["add", "staged.txt"]);
    fs::write(repository.join("src/lib.sh"), "echo two\n").unwrap();
    fs::write(repository.join("untracked.txt"), "3\n").unwrap();
    fs::write(repository.join("latin.txt"), b"caf\xe9\n").unwrap();
    fs::remove_file(repository.join("README.md")).unwrap();
    let state = || {
        let index = fs::read(repository.join(".git/index")).unwrap();
        let objects = output_of(&repository, &["count-objects", "-v"]);
        (index, objects)
    };
    let before = state();
    let answer = changes(&harness).await;
    assert_eq!(state(), before);
    let diff = &answer.diff;
    for line in [
        "+++ b/committed.txt",
        "+++ b/staged.txt",
        "+++ b/untracked.txt",
        "+echo two",
        "-echo one",
        "deleted file mode 100644",
        "+caf\u{fffd}",
    ] {
        assert!(diff.contains(line), "no {line} in {diff}");
    }
    assert!(!diff.contains("others.txt"));
    assert_eq!((answer.base.as_str(), answer.truncated), (base.as_str(), false));
    assert_eq!(answer.head, output_of(&repository, &["rev-parse", "HEAD"]).trim());
    harness.end().await;
}

#[tokio::test]
async fn a_change_of_the_same_length_in_the_second_of_the_checkout_is_seen() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    // Nothing else than the time could tell.
    git_in(&sandbox.repository(), &["config", "core.trustctime", "false"]);
    let path = sandbox.repository().join("src/lib.sh");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "echo two\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(changes(&harness).await.diff.contains("+echo two"));
    harness.end().await;
}

#[tokio::test]
async fn a_large_diff_is_cut_and_says_so() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let text = "a line of it\n".repeat(200_000);
    fs::write(sandbox.repository().join("large.txt"), text).unwrap();
    let answer = changes(&harness).await;
    assert!(answer.truncated && answer.diff.len() <= MAX_DIFF_BYTES);
    assert!(answer.diff.len() > MAX_DIFF_BYTES - 100 && answer.diff.ends_with('\n'));
    harness.end().await;
}

#[tokio::test]
async fn there_is_a_diff_without_a_commit_and_without_a_common_ancestor_but_not_without_a_base() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    git_in(&repository, &["checkout", "--quiet", "--orphan", "fresh"]);
    let answer = changes(&harness).await;
    assert_eq!((answer.head.trim_matches('0'), answer.diff.as_str()), ("", ""));
    fs::write(repository.join("new.txt"), "new\n").unwrap();
    git_in(&repository, &["add", "."]);
    git_in(&repository, &["commit", "--quiet", "--message", "Unrelated"]);
    assert!(changes(&harness).await.diff.contains("+++ b/new.txt"));
    let no_base = ChangesRequest { base: "no-such-base".into() };
    let refused = harness.post::<Changes>("changes", &no_base).await.unwrap_err();
    assert_eq!(refused.kind, StepErrorKind::BaseMissing);
    harness.end().await;
}
