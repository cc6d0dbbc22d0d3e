//! The git route, with git itself on one side and git's http-backend on the other.

use std::{path::Path, process::Output};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use paddock_egress::{Kind, Policy, Verdict};
use tokio::process::Command;

use crate::{
    forge::Forge,
    world::{FORGE_TOKEN, World, get, policy, text},
};

/// A repository on the forge, a run that may work on it, and a workspace with git set up as the
/// harness does it.
struct Workspace {
    world: World,
    forge: Forge,
    policy: Policy,
}

const REMOTE: &str = "https://forge.example/octo/hello";

impl Workspace {
    async fn new() -> Self {
        let forge = Forge::new(&["octo/hello", "octo/secret"]).await;
        let mut world = World::new().await.git(&forge.url());
        world.start();
        let policy = policy("octo/hello", "paddock/fix");
        world.open(std::slice::from_ref(&policy)).await;
        let gateway = world.forward(&policy).await;
        let home = world.dir.path().join("home");
        std::fs::create_dir_all(&home).expect("a directory");
        let config = format!(
            "[user]\n name = Agent\n email = agent@paddock.example\n[protocol]\n version = 2\n\
             [url \"http://{gateway}/git/octo/hello.git\"]\n insteadOf = {REMOTE}\n\
             [url \"http://{gateway}/git/octo/secret.git\"]\n insteadOf = https://forge.example/octo/secret\n"
        );
        std::fs::write(home.join(".gitconfig"), config).expect("written");
        Self { world, forge, policy }
    }

    async fn git(&self, args: &[&str]) -> Output {
        let repo = self.world.dir.path().join("repo");
        let dir = if repo.exists() { repo } else { self.world.dir.path().to_owned() };
        git_in(&dir, &self.world.dir.path().join("home"), args).await
    }

    async fn must(&self, args: &[&str]) -> String {
        let output = self.git(args).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn commit(&self, bytes: usize) {
        let path = self.world.dir.path().join("repo/file");
        // Bytes that do not compress.
        let mut state = 1_u64;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(bytes)
        .collect();
        std::fs::write(path, content).expect("written");
        self.must(&["add", "."]).await;
        self.must(&["commit", "-q", "-m", "a change"]).await;
    }

    /// What a reference of the forge's repository is.
    async fn reference(&self, repository: &str, name: &str) -> String {
        let output = Command::new("git")
            .args(["rev-parse", "--verify", "-q", name])
            .current_dir(self.forge.bare(repository))
            .output()
            .await
            .expect("git");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

async fn git_in(dir: &Path, home: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .await
        .expect("git")
}

#[tokio::test(flavor = "multi_thread")]
async fn clone_fetch_and_push_of_the_own_branch_pass_with_git_unchanged() {
    let space = Workspace::new().await;
    space.must(&["clone", "-q", REMOTE, "repo"]).await;
    assert_eq!(
        space.must(&["remote", "get-url", "origin"]).await.matches("/git/octo/hello.git").count(),
        1
    );
    space.must(&["checkout", "-q", "-b", "paddock/fix"]).await;
    space.commit(100).await;
    space.must(&["push", "-q", "origin", "HEAD:refs/heads/paddock/fix"]).await;
    let head = space.must(&["rev-parse", "HEAD"]).await;
    assert_eq!(space.reference("octo/hello", "refs/heads/paddock/fix").await, head);

    // Above 1 MB git probes first and then sends in chunks of unknown total.
    space.commit(3_000_000).await;
    space.must(&["push", "-q", "origin", "paddock/fix"]).await;
    let head = space.must(&["rev-parse", "HEAD"]).await;
    assert_eq!(space.reference("octo/hello", "refs/heads/paddock/fix").await, head);
    space.must(&["fetch", "-q", "origin"]).await;
    // A rewritten branch is still the own branch.
    space.must(&["commit", "-q", "--amend", "-m", "another"]).await;
    space.must(&["push", "-q", "--force", "origin", "paddock/fix"]).await;

    let seen = space.forge.seen();
    assert!(seen.iter().all(|seen| seen.authorised), "{seen:#?}");
    assert!(seen.iter().any(|seen| seen.chunked), "{seen:#?}");
    assert!(seen.iter().any(|seen| seen.protocol.as_deref() == Some("version=2")), "{seen:#?}");
    let decisions = space
        .world
        .control
        .decisions_until(|all| {
            all.iter().filter(|d| d.rule == "git.push" && d.bytes_up > 0).count() >= 4
        })
        .await;
    assert!(decisions.iter().all(|d| d.kind == Kind::Git && d.verdict == Verdict::Allowed));
    assert!(decisions.iter().all(|d| d.run == space.policy.run && d.host == "127.0.0.1"));
    assert!(decisions.iter().any(|d| d.bytes_up > 3_000_000 && d.status == Some(200)));
    assert!(decisions.iter().all(|d| d.address.is_some()), "{decisions:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_anything_but_the_own_branch_is_refused() {
    let space = Workspace::new().await;
    space.must(&["clone", "-q", REMOTE, "repo"]).await;
    space.must(&["checkout", "-q", "-b", "paddock/fix"]).await;
    space.must(&["push", "-q", "origin", "paddock/fix"]).await;
    let own = space.reference("octo/hello", "refs/heads/paddock/fix").await;
    let main = space.reference("octo/hello", "refs/heads/main").await;
    space.commit(2_000_000).await;
    space.must(&["tag", "v1"]).await;
    for (rule, args) in [
        ("git.ref", vec!["push", "origin", "HEAD:refs/heads/main"]),
        ("git.ref", vec!["push", "origin", "HEAD:refs/heads/paddock/fix-2"]),
        ("git.ref", vec!["push", "origin", "v1"]),
        ("git.ref", vec!["push", "origin", "HEAD:refs/heads/paddock/fix", "HEAD:refs/heads/other"]),
        ("git.ref", vec!["push", "--mirror", "origin"]),
        ("git.ref", vec!["push", "origin", ":refs/heads/other"]),
        ("git.delete", vec!["push", "origin", ":refs/heads/paddock/fix"]),
        ("git.push-options", vec!["push", "-o", "merge", "origin", "HEAD:refs/heads/paddock/fix"]),
    ] {
        let count = space.world.control.decisions().iter().filter(|d| d.rule == rule).count();
        let output = space.git(&args).await;
        assert!(!output.status.success(), "git {args:?} passed");
        if rule == "git.push-options" {
            // The forge does not offer them, so git itself gives up.
            continue;
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("403"), "git {args:?}: {stderr}");
        space
            .world
            .control
            .decisions_until(|all| all.iter().filter(|d| d.rule == rule).count() > count)
            .await;
    }
    assert_eq!(space.reference("octo/hello", "refs/heads/main").await, main);
    assert_eq!(space.reference("octo/hello", "refs/heads/other").await, main);
    assert_eq!(space.reference("octo/hello", "refs/heads/paddock/fix").await, own);
    assert_eq!(space.reference("octo/hello", "refs/tags/v1").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_is_out_of_reach_even_with_a_token_the_agent_brought() {
    let space = Workspace::new().await;
    let output = space.git(&["clone", "https://forge.example/octo/secret", "stolen"]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("403"));

    let before = space.forge.seen().len();
    let own = "service=git-upload-pack";
    for (path, status) in [
        (format!("/git/octo/secret.git/info/refs?{own}"), 403),
        (format!("/git/octo/hello.git/../secret.git/info/refs?{own}"), 404),
        (format!("/git/octo/hello.git/%2e%2e/secret.git/info/refs?{own}"), 404),
        (format!("/git/octo%2fhello.git/info/refs?{own}"), 404),
        (format!("/git/octo/hello%2egit/info/refs?{own}"), 404),
        (format!("/git//octo/hello.git/info/refs?{own}"), 404),
        (format!("/git/octo/hello.git//info/refs?{own}"), 404),
        (format!("/git/./octo/hello.git/info/refs?{own}"), 404),
        (format!("/git/./hello.git/info/refs?{own}"), 403),
        (format!("/git/octo/hello/info/refs?{own}"), 404),
        (format!("/git/octo/hello.git/info/refs?{own}&x=1"), 404),
        ("/git/octo/hello.git/info/refs".to_owned(), 404),
        ("/git/octo/hello.git/info/refs?service=git-upload-archive".to_owned(), 404),
        ("/git/octo/hello.git/info/refs?service=git%2dupload-pack".to_owned(), 404),
        ("/git/octo/hello.git/HEAD".to_owned(), 404),
        ("/git/octo/hello.git/objects/info/packs".to_owned(), 404),
        ("/git/octo/hello.git/config".to_owned(), 404),
        ("/git/octo/hello.git/git-upload-pack".to_owned(), 405),
        ("/git/octo/hello.git".to_owned(), 404),
        ("/git/".to_owned(), 404),
        ("/git".to_owned(), 404),
        ("/".to_owned(), 404),
    ] {
        let mut request = get(&path);
        request.headers_mut().insert("authorization", "Bearer ghp_stolen".parse().unwrap());
        let response = space.world.send(&space.policy, request).await;
        assert_eq!(response.status(), status, "{path}");
        assert!(text(response).await.starts_with("paddock: refused: "), "{path}");
    }
    assert_eq!(space.forge.seen().len(), before, "nothing of that came to the forge");

    // The own repository, in another case and with a credential of the agent's: reached with the
    // gateway's token and in the policy's spelling.
    let mut request = get(&format!("/git/Octo/HELLO.git/info/refs?{own}"));
    request.headers_mut().insert("authorization", "Bearer ghp_stolen".parse().unwrap());
    request.headers_mut().insert("cookie", "session=1".parse().unwrap());
    let response = space.world.send(&space.policy, request).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("set-cookie").is_none());
    assert!(!text(response).await.contains(FORGE_TOKEN));
    let last = space.forge.seen().pop().expect("a request");
    assert!(last.authorised);
    assert!(last.path.starts_with("/octo/hello.git/info/refs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_cannot_be_read_does_not_pass() {
    let space = Workspace::new().await;
    let before = space.forge.seen().len();
    let push = |kind: &str, encoding: Option<&str>, body: &'static [u8]| {
        let mut request = Request::post("/git/octo/hello.git/git-receive-pack")
            .header("host", "x")
            .header("content-type", kind);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.body(Full::new(Bytes::from_static(body))).expect("a request")
    };
    let own = "application/x-git-receive-pack-request";
    for (request, status) in [
        (push(own, Some("gzip"), b"\x1f\x8b"), 415),
        (push(own, Some("identity, gzip"), b"0000"), 415),
        (push("text/plain", None, b"0000"), 415),
        (push("application/x-git-upload-pack-request", None, b"0000"), 415),
        (push(own, None, b""), 403),
        (push(own, None, b"0001"), 403),
        (push(own, None, b"0000PACK"), 403),
        (push(own, None, b"PACK"), 403),
    ] {
        let response = space.world.send(&space.policy, request).await;
        assert_eq!(response.status(), status);
    }
    assert_eq!(space.forge.seen().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_forge_refuses_is_not_asked_of_the_agent() {
    let forge = Forge::new(&["octo/hello"]).await;
    let router = axum::Router::new().fallback(async || {
        (
            axum::http::StatusCode::UNAUTHORIZED,
            [("www-authenticate", "Basic realm=x")],
            "who are you",
        )
    });
    let stranger = crate::world::serve(router).await;
    drop(forge);
    let mut world = World::new().await.git(&format!("http://{stranger}"));
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let response =
        world.send(&policy, get("/git/octo/hello.git/info/refs?service=git-upload-pack")).await;
    assert_eq!(response.status(), 403);
    assert!(response.headers().get("www-authenticate").is_none());
    assert!(text(response).await.contains("does not accept the gateway's token"));
}
