//! What people do while a run works: answer, prompt, interrupt, finish.

use anyhow::{Context as _, ensure};
use link::Item;
use serde_json::{Value, json};

use crate::support::Installation;

fn waiting(run: &Value) -> anyhow::Result<String> {
    Ok(run["inputs"][0]["id"]
        .as_str()
        .with_context(|| format!("asks nothing: {run:#}"))?
        .to_owned())
}

#[tokio::test]
async fn a_permission_waits_for_its_answer_and_the_agent_goes_on() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Ask first").await?;
    let body = json!({ "prompt": "[scenario: ask-permission] Go.", "profile": "careful" });
    let run = paddock.run_with(&session, body).await?;
    let asks = paddock.wait_state(&run, "awaiting_input").await?;
    let input = waiting(&asks)?;
    let wrong = json!({ "answers": [["yes"]] });
    let (status, problem) = paddock
        .call(reqwest::Method::POST, &format!("runs/{run}/inputs/{input}"), Some(wrong))
        .await?;
    ensure!(status == 409 || status == 422, "{status} {problem}");
    paddock.post(&format!("runs/{run}/inputs/{input}"), json!({ "reply": "once" })).await?;
    paddock.wait_success(&run).await?;
    paddock.down().await
}

#[tokio::test]
async fn a_question_is_answered_with_a_choice() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Which one?").await?;
    let run = paddock.run(&session, "ask-question").await?;
    let asks = paddock.wait_state(&run, "awaiting_input").await?;
    let input = waiting(&asks)?;
    let choice = asks["inputs"][0]["detail"]["questions"][0]["options"][0]["label"]
        .as_str()
        .with_context(|| format!("no options: {asks:#}"))?;
    let answers = json!({ "answers": [[choice]] });
    paddock.post(&format!("runs/{run}/inputs/{input}"), answers).await?;
    paddock.wait_success(&run).await?;
    let answered = paddock.model_log()?.iter().any(|request| {
        request["messages"].to_string().contains(choice) && request.to_string().contains("\"tool\"")
    });
    ensure!(answered, "the model never saw the answer");
    paddock.down().await
}

#[tokio::test]
async fn an_idle_run_takes_a_further_prompt_and_finishes_when_told() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Stay").await?;
    let body = json!({ "prompt": "[scenario: leftovers] Begin.", "linger_seconds": 600 });
    let run = paddock.run_with(&session, body).await?;
    let idle = paddock.wait_state(&run, "idle").await?;
    ensure!(idle["idle_until"].is_string() || idle["reason"].is_string(), "{idle:#}");
    let prompt = json!({ "prompt": "[scenario: empty-diff] What did you do?" });
    paddock.post(&format!("runs/{run}/prompts"), prompt).await?;
    paddock.wait_state(&run, "running").await?;
    paddock.wait_state(&run, "idle").await?;
    paddock.post(&format!("runs/{run}/finish"), Value::Null).await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["pull_request"]["url"].is_string(), "{ended:#}");
    paddock.down().await
}

#[tokio::test]
async fn what_the_agent_says_is_stored_while_it_says_it_each_byte_once() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Word by word").await?;
    let run = paddock.run(&session, "slow").await?;
    paddock.wait_success(&run).await?;
    let mut said: Vec<(u64, String)> = vec![];
    for item in paddock.output(&run).await? {
        if let Item::Text { field, offset, text, .. } = item
            && field == "/text"
            && (offset > 0 || text.starts_with("I am thinking"))
        {
            said.push((offset, text));
        }
    }
    ensure!(said.len() > 5, "told in {} pieces only: {said:?}", said.len());
    let mut bytes = 0;
    for (offset, text) in &said {
        ensure!(*offset == bytes, "a piece at {offset}, not at {bytes}: {said:?}");
        bytes += text.len() as u64;
    }
    let whole: String = said.into_iter().map(|(_, text)| text).collect();
    ensure!(whole.matches("one word after the other").count() == 12, "{whole}");
    paddock.down().await
}

#[tokio::test]
async fn an_interrupted_turn_leaves_the_run_idle() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Never mind").await?;
    let body = json!({ "prompt": "[scenario: never-finish] Begin.", "linger_seconds": 600 });
    let run = paddock.run_with(&session, body).await?;
    paddock.wait_state(&run, "running").await?;
    paddock.post(&format!("runs/{run}/interrupt"), Value::Null).await?;
    paddock.wait_state(&run, "idle").await?;
    // However soon the interrupt follows the prompt: the agent may not have taken it up yet.
    for _ in 0..5 {
        let prompt = json!({ "prompt": "[scenario: never-finish] Again." });
        paddock.post(&format!("runs/{run}/prompts"), prompt).await?;
        paddock.wait_state(&run, "running").await?;
        paddock.post(&format!("runs/{run}/interrupt"), Value::Null).await?;
        paddock.wait_state(&run, "idle").await?;
    }
    paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "cancelled", "{ended:#}");
    paddock.down().await
}

#[tokio::test]
async fn an_interrupt_while_the_agent_asks_ends_the_turn_and_withdraws_the_ask()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Never mind asking").await?;
    let body = json!({
        "prompt": "[scenario: ask-permission] Go.", "profile": "careful", "linger_seconds": 600,
    });
    let run = paddock.run_with(&session, body).await?;
    paddock.wait_state(&run, "awaiting_input").await?;
    paddock.post(&format!("runs/{run}/interrupt"), Value::Null).await?;
    let idle = paddock.wait_state(&run, "idle").await?;
    ensure!(idle["inputs"] == json!([]), "{idle:#}");
    let prompt = json!({ "prompt": "[scenario: empty-diff] Something else, then." });
    paddock.post(&format!("runs/{run}/prompts"), prompt).await?;
    paddock.wait_state(&run, "running").await?;
    paddock.wait_state(&run, "idle").await?;
    paddock.post(&format!("runs/{run}/finish"), Value::Null).await?;
    paddock.wait_success(&run).await?;
    paddock.down().await
}
