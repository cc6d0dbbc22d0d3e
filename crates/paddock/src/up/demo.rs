//! The demo: a forge with a sample repository and issue, a scripted model, and the issue's way to its
//! pull request.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    child::Spec,
    layout::{Layout, loopback},
};
use crate::{
    cli::{Client, Followed, follow_new, output},
    config::{Demo, beside_this_program},
};

const REPOSITORY: &str = "octo-demo/greeter";
const ISSUE: u64 = 1;

/// What newcomers are shown.
pub(crate) fn shown() -> Demo {
    Demo { repo: REPOSITORY.to_owned(), issue: ISSUE }
}

/// Where the demo's parts are.
pub(crate) struct Announced {
    pub(crate) forge: Url,
    pub(crate) forge_api: Url,
    pub(crate) model: Url,
}

/// How to start the forge.
pub(crate) fn forge(layout: &Layout) -> anyhow::Result<Spec> {
    Ok(Spec::new("forge", beside_this_program("paddock-forge")?)
        .arg("--listen")
        .arg(loopback(layout.ports.forge).to_string())
        .arg("--data")
        .arg(layout.join("demo/forge"))
        .arg("--announce")
        .arg(layout.join("demo/forge.json"))
        .arg("--seed-demo")
        .arg("--token-file")
        .arg(layout.secret("forge")?))
}

/// How to start the model.
pub(crate) fn model(layout: &Layout, scenarios: Option<&Path>) -> anyhow::Result<Spec> {
    std::fs::create_dir_all(layout.join("demo"))?;
    let spec = Spec::new("model", beside_this_program("paddock-model")?)
        .arg("--listen")
        .arg(loopback(layout.ports.model).to_string())
        .arg("--announce")
        .arg(layout.join("demo/model.json"))
        .arg("--log")
        .arg(layout.join("demo/model.log"))
        .arg("--key-file")
        .arg(layout.secret("model")?);
    Ok(match scenarios {
        Some(dir) => spec.arg("--scenarios").arg(std::path::absolute(dir)?),
        None => spec,
    })
}

/// Waits until both say where they are.
pub(crate) async fn announced(layout: &Layout) -> anyhow::Result<Announced> {
    #[derive(Deserialize)]
    struct Forge {
        url: Url,
        api_url: Url,
    }
    #[derive(Deserialize)]
    struct Model {
        url: Url,
    }
    let forge: Forge = read(layout.join("demo/forge.json")).await?;
    let model: Model = read(layout.join("demo/model.json")).await?;
    Ok(Announced { forge: forge.url, forge_api: forge.api_url, model: model.url })
}

async fn read<T: serde::de::DeserializeOwned>(path: PathBuf) -> anyhow::Result<T> {
    for _ in 0..200 {
        if let Ok(text) = std::fs::read(&path) {
            return serde_json::from_slice(&text).with_context(|| path.display().to_string());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{} did not appear within 10 s; see the log directory", path.display())
}

/// Takes the sample issue to its pull request and shows it.
pub(crate) async fn run(client: &Client, json: bool) -> anyhow::Result<Followed> {
    let issue = client.get(&format!("repositories/{REPOSITORY}/issues/{ISSUE}")).await?;
    let title = output::cell(&issue, "/title");
    let prompt = format!("{title}\n\n{}", output::cell(&issue, "/body"));
    if !json {
        eprintln!("\nissue #{ISSUE} of {REPOSITORY}: {title}\n");
    }
    let body = json!({ "repo": REPOSITORY, "issue": ISSUE });
    let session = client.send(Method::POST, "sessions", Some(&body)).await?;
    let session = output::cell(&session, "/id");
    let body = json!({ "prompt": prompt });
    let path = format!("sessions/{session}/runs");
    let run = client.send(Method::POST, &path, Some(&body)).await?;
    let followed = follow_new(client, &run, json).await?;
    if !json {
        show(client, &output::cell(&run, "/id"), &session, &followed).await?;
    }
    Ok(followed)
}

async fn show(
    client: &Client,
    run: &str,
    session: &str,
    followed: &Followed,
) -> anyhow::Result<()> {
    if !followed.succeeded() {
        eprintln!("the run failed: {}", output::cell(&followed.run, "/reason"));
        return Ok(());
    }
    let changes = client.get(&format!("runs/{run}/changes")).await?;
    println!("\n{}", output::cell(&changes, "/diff"));
    eprintln!(
        "say more to the same session:\n  paddock run start {session} --follow --prompt \
         'Also greet people who give no name'"
    );
    Ok(())
}
