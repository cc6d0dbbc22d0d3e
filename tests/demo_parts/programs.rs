//! The two programs, as `paddock up --demo` starts them.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

const FORGE: &str = env!("CARGO_BIN_EXE_paddock-forge");
const MODEL: &str = env!("CARGO_BIN_EXE_paddock-model");
const SECRET: &str = "sesame-4711";

/// A program that runs, killed when it is dropped.
struct Running(Option<Child>);

impl Running {
    fn start(program: &str, dir: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let _ = std::fs::remove_file(dir.join("announced"));
        let child = Command::new(program)
            .args(["--announce", "announced"])
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self(Some(child)))
    }

    /// Waits until it says where it is.
    fn announced(&mut self, dir: &Path) -> anyhow::Result<Value> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(text) = std::fs::read(dir.join("announced")) {
                // Whole from the first moment that it is there.
                return Ok(serde_json::from_slice(&text)?);
            }
            if let Some(status) = self.0.as_mut().context("gone")?.try_wait()? {
                bail!("it ended with {status}");
            }
            ensure!(Instant::now() < until, "it does not say where it is");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it; all that it printed.
    fn kill(mut self) -> anyhow::Result<Output> {
        let mut child = self.0.take().context("gone")?;
        child.kill()?;
        Ok(child.wait_with_output()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(value: &Value, name: &str) -> anyhow::Result<String> {
    Ok(value[name].as_str().with_context(|| format!("no {name} in {value}"))?.to_owned())
}

async fn status(url: &str, token: &str) -> anyhow::Result<u16> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build()?;
    Ok(http.get(url).bearer_auth(token).send().await?.status().as_u16())
}

#[tokio::test]
async fn a_forge_that_is_killed_comes_back_where_it_was() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("tokens"), format!("{SECRET}\nother read octo-demo/greeter\n"))?;
    let mut listen = "127.0.0.1:0".to_owned();
    let mut first = None;
    for _ in 0..3 {
        let more = ["--data", "data", "--token-file", "tokens", "--seed-demo"];
        let arguments = [&["--listen", &listen][..], &more].concat();
        let mut forge = Running::start(FORGE, dir.path(), &arguments)?;
        let announced = forge.announced(dir.path())?;
        let (url, api) = (text(&announced, "url")?, text(&announced, "api_url")?);
        ensure!(api == format!("{url}/api/v3"), "{announced}");
        ensure!(first.get_or_insert_with(|| url.clone()) == &url, "it moved to {url}");
        let issue = format!("{api}/repos/octo-demo/greeter/issues/1");
        for (token, expected) in [(SECRET, 200), ("other", 200), ("third", 401)] {
            let status = status(&issue, token).await?;
            ensure!(status == expected, "{token}: {status}");
        }
        listen = url.replace("http://", "");
        let output = forge.kill()?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(!String::from_utf8_lossy(&said).contains(SECRET), "it told its token");
    }
    Ok(())
}

#[tokio::test]
async fn a_model_lets_in_who_has_the_key_in_its_file() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("key"), format!("{SECRET}\n"))?;
    let mut model = Running::start(MODEL, dir.path(), &["--log", "log", "--key-file", "key"])?;
    let models = format!("{}/models", text(&model.announced(dir.path())?, "url")?);
    ensure!(status(&models, SECRET).await? == 200);
    ensure!(status(&models, "other").await? == 401);
    model.kill()?;
    let mut open = Running::start(MODEL, dir.path(), &["--log", "log"])?;
    let models = format!("{}/models", text(&open.announced(dir.path())?, "url")?);
    ensure!(status(&models, "anything").await? == 200);
    Ok(())
}

#[test]
fn what_is_wrong_is_said_without_the_secret() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("tokens"), format!("x {SECRET}\n"))?;
    std::fs::write(dir.path().join("bad.toml"), "about = 'x'\n[[step]]\nunknown = 1\n")?;
    let run = |program: &str, arguments: &[&str]| -> anyhow::Result<String> {
        let output = Command::new(program)
            .args(["--announce", "announced"])
            .args(arguments)
            .current_dir(dir.path())
            .output()?;
        ensure!(!output.status.success(), "{arguments:?} works");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let said = run(FORGE, &["--data", "data", "--token-file", "tokens"])?;
    ensure!(said.contains("token's part") && !said.contains(SECRET), "{said}");
    let said = run(FORGE, &["--data", "data", "--token", &format!("x,{SECRET}")])?;
    ensure!(said.contains("token's part"), "{said}");
    let said = run(FORGE, &["--data", "data"])?;
    ensure!(said.contains("--token-file"), "{said}");
    let said = run(MODEL, &["--log", "log", "--scenarios", "."])?;
    ensure!(said.contains("scenario bad") && said.contains("unknown"), "{said}");
    ensure!(!dir.path().join("announced").exists(), "it says where it is, and is not");
    Ok(())
}
