use std::io::Write as _;

use anyhow::ensure;
use reqwest::{Method, StatusCode};

use crate::support::{OwnForge, READER, REPO, STRANGER, WRITER, git};

fn refusal(result: anyhow::Result<String>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_several_megabytes_comes_in_chunks_and_arrives_whole() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    let mut noise = vec![0; 6 << 20];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut noise)?;
    std::fs::File::create(work.0.join("noise"))?.write_all(&noise)?;
    let sha = work.push("big", "noise")?;
    let again = forge.clone_as("again")?;
    again.git(&["checkout", "--quiet", "big"])?;
    ensure!(again.git(&["rev-parse", "HEAD"])?.trim() == sha);
    ensure!(std::fs::read(again.0.join("noise"))? == noise, "what came back is not what went");
    again.git(&["fsck", "--strict"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_version_of_the_protocol_and_packed_requests_work() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    let request = forge
        .request(Method::GET, &format!("/{REPO}.git/info/refs?service=git-upload-pack"))
        .basic_auth("x-access-token", Some(WRITER))
        .header("git-protocol", "version=2");
    let answer = request.send().await?.error_for_status()?.bytes().await?;
    ensure!(answer.windows(9).any(|part| part == b"version 2"), "{answer:?}");
    // Many refs make a request for which git uses gzip.
    let bare = forge.forge.bare_repository("octo-demo", "greeter").unwrap_or_default();
    for number in 0..60 {
        work.push("many", &format!("commit {number}"))?;
        git(&bare, &["branch", &format!("b{number}"), "many"])?;
    }
    for version in ["0", "2"] {
        let protocol = format!("protocol.version={version}");
        let name = format!("v{version}");
        let remote = forge.remote(REPO, WRITER);
        git(forge.dir.path(), &["-c", &protocol, "clone", "--quiet", "--mirror", &remote, &name])?;
        let branches = git(&forge.dir.path().join(name), &["branch", "--list"])?;
        ensure!(branches.lines().count() == 62, "{branches}");
    }
    work.push("many", "one more")?;
    let mirror = forge.dir.path().join("v0");
    git(&mirror, &["-c", "protocol.version=0", "fetch", "--quiet", "--all"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_works_as_a_password_does() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let header = format!("http.extraHeader=Authorization: Bearer {WRITER}");
    let url = forge.url(&format!("/{REPO}.git"));
    git(forge.dir.path(), &["-c", &header, "ls-remote", &url])?;
    // Without the suffix, as GitHub takes it.
    git(forge.dir.path(), &["-c", &header, "ls-remote", &forge.url(&format!("/{REPO}"))])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused_as_github_refuses() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge.make("octo-demo", "open", false).await?;
    let work = forge.clone_as("work")?;
    let dir = forge.dir.path();
    let refs = |repo: &str| format!("/{repo}.git/info/refs?service=git-upload-pack");

    let anonymous = forge.request(Method::GET, &refs(REPO)).send().await?;
    ensure!(anonymous.status() == StatusCode::UNAUTHORIZED, "{anonymous:?}");
    ensure!(anonymous.headers()["www-authenticate"] == "Basic realm=\"GitHub\"");
    // Nobody learns without a token that it is not there.
    let absent = forge.request(Method::GET, &refs("octo-demo/none")).send().await?;
    ensure!(absent.status() == StatusCode::UNAUTHORIZED, "{absent:?}");

    git(dir, &["ls-remote", &forge.url("/octo-demo/open.git")])?;
    let denied = refusal(git(dir, &["ls-remote", &forge.remote(REPO, "nonsense")]));
    ensure!(denied.contains("Authentication failed"), "{denied}");
    let hidden = refusal(git(dir, &["ls-remote", &forge.remote(REPO, STRANGER)]));
    ensure!(hidden.contains("not found"), "{hidden}");
    let absent = refusal(git(dir, &["ls-remote", &forge.remote("octo-demo/none", WRITER)]));
    ensure!(absent.contains("not found"), "{absent}");

    git(dir, &["ls-remote", &forge.remote(REPO, READER)])?;
    let reader = forge.remote(REPO, READER);
    let pushed = refusal(work.git(&["push", &reader, "HEAD:refs/heads/x"]));
    ensure!(pushed.contains("403"), "{pushed}");
    let anonymous = refusal(work.git(&["push", &forge.url("/octo-demo/open.git"), "HEAD:x"]));
    ensure!(!anonymous.is_empty(), "anybody can push");

    for path in ["HEAD", "objects/info/packs", "config", "../../forge.json", "git-upload-archive"] {
        let path = format!("/{REPO}.git/{path}");
        let answer = forge.request(Method::GET, &path).bearer_auth(WRITER).send().await?;
        ensure!(answer.status() == StatusCode::NOT_FOUND, "{path}: {answer:?}");
    }
    let dumb = format!("/{REPO}.git/info/refs");
    let answer = forge.request(Method::GET, &dumb).bearer_auth(WRITER).send().await?;
    ensure!(answer.status() == StatusCode::FORBIDDEN, "{answer:?}");
    Ok(())
}
