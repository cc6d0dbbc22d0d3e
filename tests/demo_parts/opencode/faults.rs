//! What goes wrong with the model in passing, and what needs more than one prompt.

use reqwest::Method;
use serde_json::json;

use super::agent::{Agent, git};

#[tokio::test]
async fn a_model_that_is_busy_twice_is_asked_a_third_time() {
    let agent = Agent::start(&json!({ "*": "allow" })).await;
    let turn = agent.play("fail-twice").await;
    assert_eq!(turn.text(), "I am here again.");
    assert_eq!(agent.requests_in("fail-twice").len(), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let agent = Agent::start(&json!({ "*": "allow" })).await;
    let turn = agent.play("cut-off").await;
    assert!(turn.text().ends_with("I was about to say something."), "{}", turn.text());
    assert_eq!(agent.requests_in("cut-off").len(), 2);
}

#[tokio::test]
async fn a_change_can_stay_uncommitted_and_a_step_can_say_what_a_tool_said() {
    let agent = Agent::start(&json!({ "*": "allow" })).await;
    let turn = agent.play("fix-greeter-uncommitted").await;
    assert_eq!(turn.done().len(), 3);
    assert!(turn.text().trim_end().ends_with("says: ok"), "{}", turn.text());
    let left = git(&agent.repository(), &["status", "--porcelain"]).await;
    assert_eq!(left.trim(), "M greet.sh");
}

#[tokio::test]
async fn the_demos_second_prompt_builds_on_its_first() {
    let agent = Agent::start(&json!({ "*": "allow" })).await;
    let session = agent.session().await;
    for words in ["greet.sh greets nobody by name", "Also greet people who give no name"] {
        agent.prompt(&session, words).await;
        agent.end_of(&session, words).await.done();
    }
    let repository = agent.repository();
    let script = git(&repository, &["show", "HEAD:greet.sh"]).await;
    assert!(script.contains("name=${1:-friend}") && script.contains("Hello, $name!"), "{script}");
    let commits = git(&repository, &["rev-list", "--count", "HEAD"]).await;
    assert_eq!(commits.trim(), "3");
}

#[tokio::test]
async fn a_second_prompt_is_answered_with_what_only_the_first_turn_knew() {
    let agent = Agent::start(&json!({ "*": "allow" })).await;
    let session = agent.session().await;
    let first = agent.play_in(&session, "two-turns").await;
    let nonce = first.done()[0].1.trim().replace("nonce ", "");
    // It names no scenario: the one before goes on.
    agent.prompt(&session, "What did you draw?").await;
    let second = agent.end_of(&session, "What did you draw?").await;
    assert_eq!(second.text(), format!("You drew {nonce} before."));
}

#[tokio::test]
async fn a_command_that_is_to_be_asked_for_is_asked_for() {
    let bash = json!({ "*": "allow", "echo asked*": "ask" });
    let agent = Agent::start(&json!({ "*": "allow", "bash": bash })).await;
    let session = agent.session().await;
    agent.prompt(&session, "[scenario: ask-permission] Go.").await;
    let asked = agent.waiting("/permission").await;
    assert_eq!(asked["permission"], "bash", "{asked:#}");
    assert!(!agent.repository().join("asked.txt").exists(), "it did not wait");
    let path = format!("/permission/{}/reply", asked["id"].as_str().unwrap());
    agent.call(Method::POST, &path, &json!({ "reply": "once" })).await;
    let turn = agent.end_of(&session, "[scenario: ask-permission]").await;
    assert_eq!(turn.done().len(), 2);
}
