use harness::wire::{CloneRequest, StepErrorKind};

use crate::support::{BRANCH, REMOTE, Sandbox, output_of};

#[tokio::test]
async fn a_clone_is_on_its_own_branch_and_keeps_the_address_that_people_know() {
    let sandbox = Sandbox::new();
    let harness = sandbox.harness().await;
    let cloned = harness.clone(REMOTE, "main", BRANCH, false).await.unwrap();
    let repository = sandbox.repository();
    let said = |arguments: &[&str]| output_of(&repository, arguments).trim().to_owned();
    assert_eq!(said(&["rev-parse", "HEAD", "origin/main"]), format!("{0}\n{0}", cloned.git_head));
    assert_eq!(said(&["branch", "--show-current"]), BRANCH);
    assert_eq!(said(&["config", "remote.origin.url"]), REMOTE);
    assert_eq!(said(&["status", "--porcelain"]), "");
    // The agent's git goes the same way, also by the address that ssh users know.
    let routed = std::fs::read_to_string(sandbox.home().join(".gitconfig")).unwrap();
    assert!(routed.contains("insteadOf = git@forge.example:acme/widget.git"), "{routed}");
    harness.end().await;
}

#[tokio::test]
async fn a_clone_that_was_cut_short_is_begun_anew() {
    let sandbox = Sandbox::new();
    let harness = sandbox.harness().await;
    std::fs::create_dir_all(sandbox.repository().join(".git")).unwrap();
    std::fs::write(sandbox.repository().join("leftover"), "x").unwrap();
    harness.clone(REMOTE, "main", BRANCH, false).await.unwrap();
    assert!(!sandbox.repository().join("leftover").exists());
    harness.end().await;
}

#[tokio::test]
async fn a_branch_that_is_there_is_checked_out_only_if_it_is_ours() {
    let sandbox = Sandbox::new();
    sandbox.forge.commit(BRANCH, &[("own.txt", "by the first run\n")], "Of the first run");
    let harness = sandbox.harness().await;
    let refused = harness.clone(REMOTE, "main", BRANCH, false).await.unwrap_err();
    assert_eq!(refused.kind, StepErrorKind::BranchExists);
    harness.clone(REMOTE, "main", BRANCH, true).await.unwrap();
    assert!(sandbox.repository().join("own.txt").exists());
    harness.end().await;
}

#[tokio::test]
async fn what_cannot_be_cloned_says_why_as_a_kind() {
    let sandbox = Sandbox::new();
    let harness = sandbox.harness().await;
    let fails = async |name: &str, base: &str| {
        let url = format!("https://forge.example/acme/{name}.git");
        harness.clone(&url, base, BRANCH, false).await.unwrap_err()
    };
    assert_eq!(fails("nowhere", "main").await.kind, StepErrorKind::RepositoryNotFound);
    assert_eq!(fails("secret", "main").await.kind, StepErrorKind::Unauthorised);
    assert_eq!(fails("widget", "no-such-base").await.kind, StepErrorKind::BaseMissing);
    let empty = fails("empty", "main").await;
    assert_eq!(empty.kind, StepErrorKind::BaseMissing);
    assert!(empty.detail.contains("empty"), "{}", empty.detail);
    for odd in ["ssh://forge.example/acme/widget.git", "ext::sh -c x", "http://a/b\n[core]", "/etc"]
    {
        let refused = harness.clone(odd, "main", BRANCH, false).await.unwrap_err();
        assert_eq!(refused.kind, StepErrorKind::Other, "{odd}");
    }
    sandbox.gateway.abort();
    let _ = sandbox.gateway.await;
    let away = harness.clone(REMOTE, "main", BRANCH, false).await.unwrap_err();
    assert_eq!(away.kind, StepErrorKind::Unavailable, "{}", away.detail);
    harness.end().await;
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_in_the_protocols_own_form() {
    let sandbox = Sandbox::new();
    let harness = sandbox.harness().await;
    let wrong = harness.post::<()>("clone", &"not a request").await.unwrap_err();
    assert_eq!(wrong.kind, StepErrorKind::Other);
    let unknown = harness.post::<()>("no-such-step", &()).await.unwrap_err();
    assert!(unknown.detail.contains("no-such-step"));
    let missing = serde_json::json!({ "remote_url": REMOTE });
    assert!(serde_json::from_value::<CloneRequest>(missing.clone()).is_err());
    assert!(harness.post::<()>("clone", &missing).await.unwrap_err().detail.contains("base"));
    harness.end().await;
}
