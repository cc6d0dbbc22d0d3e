//! The record as a reviewer has it: taken out by the command line, verified of the file alone, and held to what was
//! seen before.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Installation, program};

struct Said {
    code: Option<i32>,
    json: Value,
    text: String,
}

/// `paddock --json audit …`, with a memory of its own.
async fn audit(installation: &Installation, arguments: &[&str]) -> anyhow::Result<Said> {
    let output = Command::new(program("paddock")?)
        .args(["--json", "audit"])
        .args(arguments)
        .arg("--data-dir")
        .arg(installation.data())
        .env("XDG_STATE_HOME", installation.dir.path().join("state"))
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ok(Said { code: output.status.code(), json, text })
}

async fn done(installation: &Installation, arguments: &[&str]) -> anyhow::Result<Value> {
    let said = audit(installation, arguments).await?;
    ensure!(said.code == Some(0), "{arguments:?}: {:?}: {}", said.code, said.text);
    Ok(said.json)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test]
async fn a_reviewer_takes_the_record_out_verifies_it_and_holds_the_server_to_it()
-> anyhow::Result<()> {
    let mut installation = Installation::start().await?;
    let session = installation.session("Greet").await?;
    let run = installation.run(&session, "fix-greeter").await?;
    installation.wait_success(&run).await?;
    let seen = done(&installation, &["checkpoint"]).await?;
    ensure!(
        seen["before"].is_null() && seen["size"].as_u64().is_some_and(|size| size > 10),
        "{seen}"
    );
    let key = seen["key"].as_str().context("a key")?.to_owned();

    let dir = installation.dir.path().to_owned();
    let (older, newer) = (dir.join("older.jsonl"), dir.join("newer.jsonl"));
    done(&installation, &["export", "--output", text(&older)]).await?;
    let again = audit(&installation, &["export", "--output", text(&older)]).await?;
    ensure!(again.code == Some(2), "it is not written over: {}", again.text);
    let verified = done(&installation, &["verify", text(&older), "--key", &key]).await?;
    ensure!(verified["holds"] == true && verified["key_known"] == true, "{verified}");
    let events =
        done(&installation, &["events", "--target", &format!("run-{run}"), "--limit", "500"])
            .await?;
    let events = events.as_array().context("events")?;
    ensure!(events.iter().any(|event| event["type"] == "run.succeeded"), "{events:?}");
    let position = events[0]["position"].to_string();
    let proven = done(&installation, &["proof", &position]).await?;
    ensure!(proven["holds"] == true && proven["event"]["type"] == events[0]["type"], "{proven}");

    // A text is erased, after a restart of everything.
    installation.down().await?;
    installation.up().await?;
    let prompt = events.iter().find(|event| event["type"] == "run.prompt.submitted");
    let prompt =
        prompt.context("a prompt")?["body"]["text"]["ref"].as_str().context("a text")?.to_owned();
    let erased = done(&installation, &["erase", &prompt]).await?;
    ensure!(erased["runs"] == json!([run]) && erased["waiting"] == json!([]), "{erased}");
    ensure!(erased["bundles"].as_array().is_some_and(|bundles| !bundles.is_empty()), "{erased}");
    let goes_on = done(&installation, &["checkpoint"]).await?;
    ensure!(goes_on["before"].is_u64() && goes_on["key"] == key.as_str(), "{goes_on}");
    done(&installation, &["export", "--output", text(&newer)]).await?;
    let verified =
        done(&installation, &["verify", text(&newer), "--key", &key, "--extends", text(&older)])
            .await?;
    ensure!(verified["extends"].is_u64() && verified["erased"] == 1, "{verified}");

    // What was changed is found; what is older does not go on from what is newer.
    let file = std::fs::read_to_string(&newer)?;
    let forged = dir.join("forged.jsonl");
    std::fs::write(&forged, file.replacen("\"run.admitted\"", "\"run.admittee\"", 1))?;
    let found = audit(&installation, &["verify", text(&forged)]).await?;
    ensure!(found.code == Some(1) && found.json["position"].as_u64() > Some(0), "{}", found.text);
    let back = audit(&installation, &["verify", text(&older), "--extends", text(&newer)]).await?;
    ensure!(back.code == Some(1) && back.text.contains("rolled back"), "{}", back.text);
    for arguments in [
        vec!["verify", text(&dir)],
        vec!["verify", "/nonexistent"],
        vec!["verify", text(&newer), "--key", "nonsense"],
        vec!["verify", text(&newer), "--extends", "/etc/hostname"],
    ] {
        let said = audit(&installation, &arguments).await?;
        ensure!(said.code == Some(2), "{arguments:?}: {:?} {}", said.code, said.text);
    }

    // A server that is not the one that was seen before: the next run of its session begins all the same.
    let run = installation.run(&session, "fix-greeter").await?;
    installation.wait_end(&run).await?;
    let state = dir.join("state/paddock/checkpoints");
    let kept = std::fs::read_dir(&state)?.next().context("what was seen is kept")??.path();
    let mut known: Value = serde_json::from_slice(&std::fs::read(&kept)?)?;
    let note = known["checkpoint"].as_str().context("a checkpoint")?.to_owned();
    let mut lines: Vec<&str> = note.split('\n').collect();
    let other = "A".repeat(43) + "=";
    lines[2] = &other;
    known["checkpoint"] = lines.join("\n").into();
    std::fs::write(&kept, serde_json::to_vec(&known)?)?;
    let found = audit(&installation, &["checkpoint"]).await?;
    ensure!(found.code == Some(1), "{:?}: {}", found.code, found.text);
    ensure!(
        std::fs::read(&kept)? == serde_json::to_vec(&known)?,
        "it goes on to remember what it saw"
    );
    installation.down().await?;
    Ok(())
}
