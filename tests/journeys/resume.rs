//! A session outlives its runs: the next one begins where the last one stopped.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::Installation;

/// What the agent's shell said of the workspace, from the stored output of a run.
fn shell_output(items: &[link::Item]) -> String {
    let mut fold = link::Fold::default();
    for item in items {
        fold.push(item);
    }
    fold.messages()
        .iter()
        .flat_map(|message| &message.parts)
        .filter(|part| part["type"] == "tool" && part["tool"] == "bash")
        .filter_map(|part| part["state"]["output"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn the_second_run_continues_the_workspace_and_the_conversation_of_the_first()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Two days of work").await?;
    // The scenario stashes, edits, adds an untracked executable and a symlink, and prints what
    // `git status`, HEAD, the stash list and the modes are then, and a nonce.
    let body = json!({ "prompt": "[scenario: workspace-state] First.", "linger_seconds": 600 });
    let first = paddock.run_with(&session, body).await?;
    paddock.wait_state(&first, "idle").await?;
    paddock.post(&format!("runs/{first}/cancel"), Value::Null).await?;
    paddock.wait_end(&first).await?;
    let before = shell_output(&paddock.output(&first).await?);
    let nonce = before
        .lines()
        .find_map(|line| line.strip_prefix("nonce "))
        .with_context(|| format!("no nonce in {before}"))?
        .to_owned();
    let requests_before = paddock.model_log()?.len();

    let second = paddock.run(&session, "workspace-look").await?;
    paddock.wait_end(&second).await?;
    let after = shell_output(&paddock.output(&second).await?);
    let state = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != "state begin");
        lines.take_while(|line| *line != "state end").map(str::to_owned).collect()
    };
    ensure!(state(&before).len() > 3, "nothing was printed: {before}");
    ensure!(state(&before) == state(&after), "before:\n{before}\nafter:\n{after}");

    let requests = paddock.model_log()?;
    let first_request = requests[requests_before..]
        .iter()
        .find(|request| request["messages"].to_string().contains("workspace-look"))
        .context("the second run never asked the model")?;
    let messages = first_request["messages"].to_string();
    ensure!(
        messages.contains("workspace-state"),
        "the first prompt is not in the second run's request"
    );
    ensure!(
        messages.contains(&nonce),
        "the first run's tool result is not in the second run's request"
    );
    paddock.down().await
}

#[tokio::test]
async fn a_fork_begins_from_the_bundle_and_has_a_branch_of_its_own() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Original").await?;
    let run = paddock.run(&session, "leftovers").await?;
    paddock.wait_success(&run).await?;
    let made = paddock
        .post(&format!("sessions/{session}/fork"), json!({ "title": "Another way" }))
        .await?;
    let fork = made["id"].as_str().context("no id")?;
    let forked = paddock.get(&format!("sessions/{fork}")).await?;
    let original = paddock.get(&format!("sessions/{session}")).await?;
    ensure!(forked["branch"] != original["branch"], "{forked:#}");
    let run = paddock.run(fork, "leftovers").await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["pull_request"]["number"].is_u64(), "{ended:#}");
    ensure!(paddock.pull_requests().await?.len() == 2);
    paddock.down().await
}
