//! Credentials from the command line to the forge: each run carries its own, a rotated one counts at once, a revoked
//! one for nothing, an app's tokens end with their runs; and no value is in anything that is kept.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, time::Instant};

use crate::{
    secrets::{dump, holds, read_all, unpacked_bundles},
    support::{Installation, PATIENCE, REPO, program, token},
};

const FIX: &str = "[scenario: fix-greeter] Please fix it.";

impl Installation {
    /// `paddock credential …`, with a value on its standard input; its exit code and its JSON.
    async fn credential(&self, arguments: &[&str], value: &str) -> anyhow::Result<(i32, Value)> {
        let mut child = Command::new(program("paddock")?)
            .args(["--json", "credential"])
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(format!("{value}\n").as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let printed = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())?;
        Ok((output.status.code().unwrap_or(-1), printed))
    }

    /// What was asked of the forge since there were `before` requests: method, path, token's number, status.
    async fn asked(&self, before: usize) -> anyhow::Result<Vec<(String, String, u64, u64)>> {
        let all = self.forge_test(Method::GET, "requests", &Value::Null).await?;
        let all = all["requests"].as_array().cloned().unwrap_or_default();
        let text = |seen: &Value, name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        let number = |seen: &Value, name: &str| seen[name].as_u64().unwrap_or(u64::MAX);
        Ok(all
            .iter()
            .skip(before)
            .map(|seen| {
                let (token, status) = (number(seen, "token"), number(seen, "status"));
                (text(seen, "method"), text(seen, "path"), token, status)
            })
            .collect())
    }

    /// The numbers of the tokens that git and what opened the pull request carried since then.
    async fn carried(&self, before: usize) -> anyhow::Result<Vec<u64>> {
        let asked = self.asked(before).await?;
        let of_run = asked.iter().filter(|(method, path, ..)| {
            path.contains("greeter.git/") || (method == "POST" && path.ends_with("/pulls"))
        });
        let mut tokens: Vec<u64> = of_run.map(|(_, _, token, _)| *token).collect();
        ensure!(tokens.len() >= 3, "fetch, push and pull request: {asked:?}");
        tokens.sort_unstable();
        tokens.dedup();
        Ok(tokens)
    }
}

/// A key pair as GitHub makes it for an app.
async fn key() -> anyhow::Result<(String, String)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("key.pem");
    let mut make = Command::new("openssl");
    make.args(["genrsa", "-traditional", "-out"]).arg(&path).arg("2048").stderr(Stdio::null());
    ensure!(make.status().await?.success(), "openssl genrsa");
    let public =
        Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(&path).output().await?;
    Ok((std::fs::read_to_string(&path)?, String::from_utf8(public.stdout)?))
}

#[tokio::test]
async fn each_run_carries_its_own_credential_and_no_value_is_kept_anywhere() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let [first, second, third] = [token(), token(), token()];
    // The forge numbers its tokens in this order; the first is the installation's own.
    for (token, expires) in [(&first, " expires=2099-01-31T09:00:00Z"), (&second, ""), (&third, "")]
    {
        let text = format!("{token} write{expires} {REPO}");
        paddock.forge_test(Method::POST, "tokens", &json!({ "token": text })).await?;
    }
    let (code, added) = paddock.credential(&["add", "first", "--repo", REPO], &first).await?;
    ensure!(code == 0 && added["verified"]["push"] == true, "{added}");
    ensure!(added["expires_at"] == "2099-01-31T09:00:00Z", "{added}");
    let (code, unknown) = paddock.credential(&["add", "wrong", "--repo", REPO], &token()).await?;
    ensure!(code == 1 && unknown["verified"]["outcome"] == "refused", "{unknown}");
    ensure!(paddock.credential(&["revoke", "wrong"], "").await?.0 == 0, "revoked");
    let classic = format!("ghp_{}", "a".repeat(36));
    let (code, refused) = paddock.credential(&["add", "classic"], &classic).await?;
    ensure!(code == 2 && refused["type"].as_str().is_some_and(|t| t.ends_with("credential-value")));

    // Two runs, two credentials; the first by being the only one.
    let before = paddock.asked(0).await?.len();
    let session = paddock.session("First").await?;
    let run = paddock.run_with(&session, json!({ "prompt": FIX })).await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["credential"]["name"] == "first", "{ended}");
    ensure!(ended["credential"]["generation"] == 1, "{ended}");
    ensure!(paddock.carried(before).await? == [2], "{:?}", paddock.asked(before).await?);
    paddock.credential(&["add", "second", "--repo", REPO], &second).await?;
    let other = paddock.session("Second").await?;
    let before = paddock.asked(0).await?.len();
    let named = json!({ "prompt": FIX, "credential": id(&paddock, "second").await? });
    let run = paddock.run_with(&other, named).await?;
    paddock.wait_success(&run).await?;
    ensure!(paddock.carried(before).await? == [3], "{:?}", paddock.asked(before).await?);

    // Rotated while a run is under way: what it pushes goes out with the new value.
    let named = json!({
        "prompt": FIX, "credential": id(&paddock, "first").await?, "linger_seconds": 600,
    });
    let fresh = paddock.session("Third").await?;
    let run = paddock.run_with(&fresh, named).await?;
    paddock.wait_state(&run, "idle").await?;
    let (code, rotated) = paddock.credential(&["rotate", "first"], &third).await?;
    ensure!(code == 0 && rotated["generation"] == 2, "{rotated}");
    let before = paddock.asked(0).await?.len();
    paddock.post(&format!("runs/{run}/finish"), Value::Null).await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["credential"]["generation"] == 2, "{ended}");
    let events = paddock.events(&run).await?;
    let uses = events.iter().filter(|name| *name == "run.credential.used").count();
    ensure!(uses == 2, "one use for each value: {events:?}");
    let asked = paddock.asked(before).await?;
    let pushes = asked.iter().filter(|(_, path, ..)| path.ends_with("git-receive-pack"));
    ensure!(
        pushes.clone().count() > 0 && pushes.clone().all(|(_, _, token, _)| *token == 4),
        "{asked:?}"
    );

    // Revoked while a run is under way: nothing of it goes out any more, and the run says why.
    let named = json!({
        "prompt": FIX, "credential": id(&paddock, "second").await?, "linger_seconds": 600,
    });
    let last = paddock.session("Fourth").await?;
    let run = paddock.run_with(&last, named).await?;
    paddock.wait_state(&run, "idle").await?;
    ensure!(paddock.credential(&["revoke", "second"], "").await?.0 == 0, "revoked");
    let before = paddock.asked(0).await?.len();
    paddock.post(&format!("runs/{run}/finish"), Value::Null).await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed" && ended["failure"] == "push", "{ended:#}");
    ensure!(ended["reason"].as_str().is_some_and(|reason| reason.contains("revoked")), "{ended:#}");
    let asked = paddock.asked(before).await?;
    ensure!(asked.iter().all(|(_, path, ..)| !path.contains(".git/")), "{asked:?}");
    let (_, shown) = paddock.credential(&["show", "first"], "").await?;
    ensure!(shown["runs"].as_array().is_some_and(|runs| runs.len() == 2), "{shown:#}");

    let kept = kept(&paddock)?;
    for secret in [&first, &second, &third] {
        for (place, bytes) in &kept {
            ensure!(!holds(bytes, secret), "a token is in {place}");
        }
    }
    paddock.down().await
}

#[tokio::test]
async fn an_apps_token_is_made_for_one_run_and_ends_with_it() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let (private, public) = key().await?;
    let app = json!({
        "app": 42, "public_key": public, "installation": 7, "repositories": [REPO],
    });
    paddock.forge_test(Method::POST, "apps", &app).await?;
    let arguments = ["add", "bot", "--app", "42", "--shared", "--repo", REPO];
    let (code, added) = paddock.credential(&arguments, &private).await?;
    ensure!(code == 0 && added["kind"] == "app" && added["verified"]["push"] == true, "{added}");
    let session = paddock.session("App").await?;
    let before = paddock.asked(0).await?.len();
    let named = json!({ "prompt": FIX, "credential": id(&paddock, "bot").await? });
    let run = paddock.run_with(&session, named).await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["pull_request"]["number"].is_u64(), "{ended}");
    let carried = paddock.carried(before).await?;
    ensure!(carried.len() == 1 && carried[0] > 1, "a token of its own: {carried:?}");
    let until = Instant::now() + Duration::from_mins(1).min(PATIENCE);
    loop {
        let asked = paddock.asked(before).await?;
        let ended = asked.iter().any(|(method, path, token, status)| {
            method == "DELETE"
                && path.ends_with("/installation/token")
                && *token == carried[0]
                && *status == 204
        });
        if ended {
            break;
        }
        ensure!(Instant::now() < until, "the token was not ended within a minute: {asked:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let line = private.lines().nth(5).context("a key has lines")?;
    for (place, bytes) in &kept(&paddock)? {
        ensure!(!holds(bytes, line), "the app's key is in {place}");
        let token = bytes
            .windows(36)
            .any(|part| part.starts_with(b"ghs_") && part[4..].iter().all(u8::is_ascii_hexdigit));
        ensure!(!token, "a token is in {place}");
    }
    paddock.down().await
}

async fn id(paddock: &Installation, name: &str) -> anyhow::Result<String> {
    let all = paddock.get("credentials").await?;
    let items = all["items"].as_array().context("no items")?;
    let found = items.iter().find(|item| item["name"] == name && item["state"] == "active");
    Ok(found.and_then(|item| item["id"].as_str()).context("no such credential")?.to_owned())
}

/// All that is kept of it, the sealed files too.
fn kept(paddock: &Installation) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let data = paddock.data();
    let dumped = dump(&data)?;
    ensure!(holds(&dumped, "fix-greeter"), "the search is blind");
    let mut kept = vec![("the dump of PostgreSQL".to_owned(), dumped)];
    kept.extend(unpacked_bundles(&data)?);
    for dir in ["nats/data", "log", "egress", "credentials"] {
        let before = kept.len();
        read_all(&data.join(dir), &[], &mut kept);
        ensure!(kept.len() > before, "nothing is in {dir}");
    }
    // Of runs that have ended nothing may be left.
    read_all(&data.join("runs"), &[], &mut kept);
    read_all(paddock.dir.path(), &["data"], &mut kept);
    Ok(kept)
}
