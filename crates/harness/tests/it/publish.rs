use std::fs;

use harness::wire::{CommitRequest, Committed, PushReport, PushRequest, StepErrorKind};

use crate::support::{Answer, BRANCH, Harness, Sandbox, git_in, output_of};

pub(crate) async fn commit(harness: &Harness) -> Committed {
    try_commit(harness).await.unwrap()
}

pub(crate) async fn try_commit(harness: &Harness) -> Answer<Committed> {
    let request = CommitRequest {
        message: "Left over\n\n# not a comment\nPaddock-Run: https://paddock.example/runs/1\n"
            .into(),
        author_name: "Ada Lovelace".into(),
        author_email: "ada@users.noreply.example".into(),
        committer_name: "Paddock".into(),
        committer_email: "noreply@paddock.example".into(),
    };
    harness.post("commit", &request).await
}

pub(crate) async fn push(harness: &Harness) -> Answer<PushReport> {
    harness.post("push", &PushRequest { branch: BRANCH.into(), base: "main".into() }).await
}

#[tokio::test]
async fn what_is_left_is_committed_and_pushed_with_its_first_subject() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    assert_eq!(push(&harness).await.unwrap().pushed, None);
    let nothing = commit(&harness).await;
    assert!(!nothing.committed);
    fs::write(repository.join(".gitignore"), "*.log\n").unwrap();
    git_in(&repository, &["add", ".gitignore"]);
    git_in(&repository, &["commit", "--quiet", "--message", "The agent's own\n\nWords."]);
    fs::write(repository.join("new.txt"), "new\n").unwrap();
    fs::write(repository.join("noise.log"), "noise\n").unwrap();
    fs::remove_file(repository.join("README.md")).unwrap();
    let committed = commit(&harness).await;
    assert!(committed.committed);
    let pushed = push(&harness).await.unwrap().pushed.unwrap();
    assert_eq!((pushed.commits, pushed.subject.as_str()), (2, "The agent's own"));
    assert_eq!(pushed.head, committed.head);
    let widget = sandbox.forge.widget();
    assert_eq!(output_of(&widget, &["rev-parse", BRANCH]).trim(), pushed.head);
    let files = output_of(&widget, &["ls-tree", "-r", "--name-only", BRANCH]);
    assert_eq!(files, ".gitignore\nnew.txt\nsrc/lib.sh\n");
    let format = "--format=%an <%ae> %cn <%ce>%n%B";
    let said = output_of(&widget, &["log", "-1", format, BRANCH]);
    assert_eq!(
        said.trim_end(),
        "Ada Lovelace <ada@users.noreply.example> Paddock <noreply@paddock.example>\n\
         Left over\n\n# not a comment\nPaddock-Run: https://paddock.example/runs/1"
    );
    // Asked again, by a sidecar that was restarted: the same answer.
    assert!(!commit(&harness).await.committed);
    assert_eq!(push(&harness).await.unwrap().pushed.unwrap(), pushed);
    harness.end().await;
}

#[tokio::test]
async fn a_push_never_forces() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    sandbox.forge.commit(BRANCH, &[("theirs.txt", "x\n")], "Theirs");
    let theirs = output_of(&sandbox.forge.widget(), &["rev-parse", BRANCH]);
    fs::write(sandbox.repository().join("ours.txt"), "y\n").unwrap();
    commit(&harness).await;
    let rejected = push(&harness).await.unwrap_err();
    assert_eq!(rejected.kind, StepErrorKind::PushRejected, "{}", rejected.detail);
    assert_eq!(output_of(&sandbox.forge.widget(), &["rev-parse", BRANCH]), theirs);
    harness.end().await;
}

#[tokio::test]
async fn what_killed_and_odd_commands_leave_behind_does_not_stop_a_commit() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    fs::write(repository.join(".git/index.lock"), "").unwrap();
    // A repository in the repository, without a commit: git refuses to add it.
    git_in(&repository, &["init", "--quiet", "fixture"]);
    fs::write(repository.join("new.txt"), "new\n").unwrap();
    // A home that was tidied up.
    for name in [".gitconfig", ".local", ".cache"] {
        let path = sandbox.home().join(name);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
    }
    assert!(commit(&harness).await.committed);
    assert_eq!(push(&harness).await.unwrap().pushed.unwrap().commits, 1);
    let files = output_of(&sandbox.forge.widget(), &["ls-tree", "--name-only", BRANCH]);
    assert_eq!(files, "README.md\nnew.txt\nsrc\n");
    harness.end().await;
}

#[tokio::test]
async fn a_gateway_that_is_restarted_is_reached_again() {
    let mut sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    fs::write(sandbox.repository().join("new.txt"), "new\n").unwrap();
    commit(&harness).await;
    sandbox.gateway.abort();
    let (pushed, ()) = tokio::join!(push(&harness), async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        sandbox.restart_gateway();
    });
    assert_eq!(pushed.unwrap().pushed.unwrap().commits, 1);
    harness.end().await;
}
