use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{
    changes::changes,
    publish::{commit, push, try_commit},
    support::{BRANCH, Sandbox, git_in, output_of},
};

/// A program that notes that it ran, and then does as it is told.
fn trap(dir: &Path, name: &str, then: &str) -> String {
    let path = dir.join(name);
    let ran = dir.join("ran");
    let text = format!("#!/bin/sh\n{{ echo {name}; id -u; env; }} >> {}\n{then}\n", ran.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_hostile_repositorys_configuration_neither_runs_with_a_step_nor_breaks_one() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    let traps = tempfile::tempdir().unwrap();
    let set = |key: &str, value: &str| git_in(&repository, &["config", key, value]);
    fs::write(repository.join(".gitattributes"), "*.sh diff=evil\n*.bad filter=failing\n").unwrap();
    fs::write(repository.join("refused.bad"), "as it is\n").unwrap();
    fs::write(repository.join("src/lib.sh"), "echo two\n").unwrap();
    for hook in [
        "pre-commit",
        "commit-msg",
        "post-commit",
        "pre-push",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
    ] {
        let path = repository.join(".git/hooks").join(hook);
        fs::copy(trap(traps.path(), hook, "exit 1"), path).unwrap();
    }
    for (key, then) in [
        ("core.fsmonitor", "exit 1"),
        ("core.sshCommand", "exit 1"),
        ("core.pager", "cat"),
        ("core.editor", "exit 1"),
        ("core.askPass", "echo x"),
        ("credential.helper", "echo password=x"),
        ("diff.external", "exit 1"),
        ("diff.evil.textconv", "echo converted"),
        ("diff.evil.command", "exit 1"),
        ("gpg.program", "exit 1"),
        ("uploadpack.packObjectsHook", "exit 1"),
        ("merge.evil.driver", "exit 1"),
    ] {
        set(key, &trap(traps.path(), key, then));
    }
    set("filter.failing.clean", "false");
    set("core.worktree", "/etc");
    set("commit.gpgSign", "true");
    set("push.gpgSign", "true");
    set("push.recurseSubmodules", "on-demand");
    set("log.showSignature", "true");
    set("diff.noprefix", "true");
    set("diff.orderFile", "/does/not/exist");
    set("color.ui", "always");
    set("commit.template", "/does/not/exist");
    set("protocol.ext.allow", "always");
    set("core.hooksPath", repository.join(".git/hooks").to_str().unwrap());

    let diff = changes(&harness).await.diff;
    assert!(diff.contains("--- a/src/lib.sh") && diff.contains("+echo two"), "{diff}");
    assert!(diff.contains("+as it is"), "{diff}");
    assert!(commit(&harness).await.committed);
    assert_eq!(push(&harness).await.unwrap().pushed.unwrap().commits, 1);
    let pushed = output_of(&sandbox.forge.widget(), &["show", &format!("{BRANCH}:src/lib.sh")]);
    assert_eq!(pushed, "echo two\n");
    let (taken, bundle) = harness.bundle().await;
    let restored = harness.restore(bundle, BRANCH).await.unwrap();
    assert_eq!(restored.git_head, taken.git_head);
    // Restored as it was, and still none of it runs.
    assert!(!changes(&harness).await.diff.is_empty());
    let ran = fs::read_to_string(traps.path().join("ran")).unwrap_or_default();
    assert_eq!(ran, "", "something ran");
    harness.end().await;
}

#[tokio::test]
async fn a_filter_that_is_required_and_fails_keeps_the_commit_back_and_not_the_diff() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    git_in(&repository, &["config", "filter.sealed.clean", "false"]);
    git_in(&repository, &["config", "filter.sealed.required", "true"]);
    fs::write(repository.join(".gitattributes"), "*.key filter=sealed\n").unwrap();
    fs::write(repository.join("a.key"), "as it is\n").unwrap();
    assert!(changes(&harness).await.diff.contains("+as it is"));
    let refused = try_commit(&harness).await.unwrap_err();
    assert!(refused.detail.contains("clean filter"), "{}", refused.detail);
    assert!(push(&harness).await.unwrap().pushed.is_none());
    harness.end().await;
}

#[tokio::test]
async fn a_repository_that_is_none_any_more_fails_each_step_and_does_not_hang() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    // Above it lies another one, which must not be taken for it.
    git_in(&sandbox.dir.path().join("workspace"), &["init", "--quiet"]);
    fs::remove_dir_all(sandbox.repository().join(".git")).unwrap();
    assert!(push(&harness).await.is_err());
    assert!(harness.post::<serde_json::Value>("snapshot", &()).await.is_err());
    let base = serde_json::json!({ "base": "main" });
    assert!(harness.post::<serde_json::Value>("changes", &base).await.is_err());
    harness.clone(crate::support::REMOTE, "main", BRANCH, false).await.unwrap();
    harness.end().await;
}
