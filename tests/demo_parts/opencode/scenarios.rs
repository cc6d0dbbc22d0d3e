//! Each scenario is played by a real OpenCode, or, where playing it would hurt this machine, its tool calls
//! are held against the tools that OpenCode offers.

use paddock_tests::model::Scenarios;
use reqwest::Method;
use serde_json::{Value, json};

use super::agent::{Agent, git};

fn everything() -> Value {
    json!({ "*": "allow" })
}

#[tokio::test]
async fn every_tool_call_of_every_scenario_fits_what_opencode_offers() {
    let agent = Agent::start(&everything()).await;
    let offered = agent.get("/experimental/tool?provider=fake&model=scripted").await;
    let offered = offered.as_array().unwrap();
    let validator = |name: &str| {
        let tool = offered.iter().find(|tool| tool["id"] == name)?;
        Some(jsonschema::validator_for(&tool["parameters"]).unwrap())
    };
    let scenarios = Scenarios::load(None).unwrap();
    let mut calls = 0;
    for name in scenarios.names() {
        let (_, scenario) = scenarios.get(name).unwrap();
        for step in scenario.step.iter().chain(&scenario.again) {
            let Some(tool) = &step.tool else { continue };
            let schema = validator(tool).unwrap_or_else(|| panic!("{name}: no tool {tool}"));
            let arguments = step.arguments.clone().unwrap_or_else(|| json!({}));
            let errors: Vec<String> =
                schema.iter_errors(&arguments).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {tool} {arguments}: {errors:?}");
            calls += 1;
        }
    }
    assert!(calls >= 15, "{calls}");
    // What is not right is found.
    assert!(!validator("read").unwrap().is_valid(&json!({ "path": "greet.sh" })));
    assert!(!validator("question").unwrap().is_valid(&json!({ "questions": "Which?" })));
    assert!(validator("no such tool").is_none());
}

#[tokio::test]
async fn the_bug_of_the_sample_issue_is_fixed_in_a_commit() {
    let agent = Agent::start(&everything()).await;
    let session = agent.session().await;
    // As the demo asks for it: by the issue's words.
    let words = "greet.sh greets nobody by name";
    agent.prompt(&session, words).await;
    let turn = agent.end_of(&session, words).await;
    let names: Vec<&str> = turn.done().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["read", "edit", "bash"]);
    assert!(turn.text().contains("now prints the name"), "{}", turn.text());
    let repository = agent.repository();
    assert_eq!(git(&repository, &["status", "--porcelain"]).await, "");
    let change = git(&repository, &["show", "--format=%s", "HEAD"]).await;
    assert!(change.starts_with("Greet people by their name\n"), "{change}");
    assert!(change.contains("+echo \"Hello, $name!\"") && change.contains("greet.sh"), "{change}");
    // The title is asked for beside the work, and is no step of it.
    let titled = agent.get(&format!("/session/{session}")).await;
    assert_eq!(titled["title"], words);
}

#[tokio::test]
async fn a_permission_is_asked_and_the_answer_counts() {
    let agent = Agent::start(&json!({ "*": "allow", "external_directory": "ask" })).await;
    for (reply, goes_on) in [("once", true), ("reject", false)] {
        let session = agent.session().await;
        agent.prompt(&session, "[scenario: ask-permission] Go.").await;
        let asked = agent.waiting("/permission").await;
        assert_eq!(asked["permission"], "external_directory", "{asked:#}");
        assert_eq!(asked["sessionID"], session.as_str());
        let path = format!("/permission/{}/reply", asked["id"].as_str().unwrap());
        agent.call(Method::POST, &path, &json!({ "reply": reply })).await;
        let turn = agent.end_of(&session, "[scenario: ask-permission]").await;
        let states: Vec<_> = turn.tools().iter().map(|tool| &tool["state"]["status"]).collect();
        if goes_on {
            assert_eq!(turn.done().len(), 2);
            assert_eq!(turn.text(), "Thank you for the answer.");
        } else {
            assert_eq!(states, [&json!("error")]);
            assert_eq!(turn.text(), "");
        }
    }
    let notes = std::fs::read_to_string(agent.repository().join("asked.txt")).unwrap();
    assert_eq!(notes, "asked\n", "what follows on a refusal was done");
}

#[tokio::test]
async fn a_question_is_asked_and_the_answer_reaches_the_model() {
    let agent = Agent::start(&everything()).await;
    let session = agent.session().await;
    agent.prompt(&session, "[scenario: ask-question] Go.").await;
    let asked = agent.waiting("/question").await;
    assert_eq!(asked["questions"][0]["question"], "Which colour?");
    assert_eq!(asked["questions"][0]["options"][1]["label"], "Cerulean");
    let path = format!("/question/{}/reply", asked["id"].as_str().unwrap());
    agent.call(Method::POST, &path, &json!({ "answers": [["Cerulean"]] })).await;
    let turn = agent.end_of(&session, "[scenario: ask-question]").await;
    let done = turn.done();
    assert!(matches!(done[..], [("question", output)] if output.contains("Cerulean")), "{done:?}");
    assert_eq!(turn.text(), "A good choice.");
    let last = agent.requests_in("ask-question").pop().unwrap();
    assert!(last["messages"].to_string().contains("Cerulean"));
}

#[tokio::test]
async fn numbered_lines_come_once_each_and_in_order() {
    let agent = Agent::start(&everything()).await;
    let turn = agent.play("numbered-lines").await;
    let said = turn.text();
    let expected: Vec<String> = (1..=20_000).map(|number| format!("line {number}")).collect();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), expected.len());
    assert!(lines == expected, "a line is missing, twice, or out of order");
}

#[tokio::test]
async fn a_refusal_fails_at_once_in_the_models_own_words() {
    let agent = Agent::start(&everything()).await;
    let turn = agent.play("fail-400").await;
    let error = turn.error().unwrap().to_string();
    assert!(error.contains("not one that this model takes") && error.contains("400"), "{error}");
    assert_eq!(agent.requests_in("fail-400").len(), 1);
}

#[tokio::test]
async fn a_model_that_is_down_is_tried_again_and_then_given_up() {
    let agent = Agent::start(&everything()).await;
    let turn = agent.play("fail-500").await;
    let error = turn.error().unwrap().to_string();
    assert!(error.contains("down for maintenance") && error.contains("500"), "{error}");
    let tries = agent.requests_in("fail-500").len();
    assert!((2..=10).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn hostile_output_arrives_as_it_was_sent() {
    let agent = Agent::start(&everything()).await;
    let turn = agent.play("hostile-output").await;
    let done = turn.done();
    let [("bash", printed)] = done[..] else { panic!("{done:?}") };
    for hostile in ["\u{1b}]52;c;aGFjaw==\u{7}", "\u{1b}[2J", "\u{202e}txt.exe"] {
        assert!(printed.contains(hostile), "{hostile:?} is not in {printed:?}");
    }
    let said = turn.text();
    for hostile in ["<script>alert(1)</script>", "](javascript:alert(1))", "\u{202e}desrever"] {
        assert_eq!(said.matches(hostile).count(), 50, "{hostile:?}");
    }
}

#[tokio::test]
async fn the_second_turn_still_holds_the_first_ones_nonce() {
    let agent = Agent::start(&everything()).await;
    let session = agent.session().await;
    let first = agent.play_in(&session, "two-turns").await;
    let nonce = first.done()[0].1.trim().to_owned();
    assert!(nonce.starts_with("nonce ") && nonce.len() > 40, "{nonce}");
    let second = agent.play_in(&session, "empty-diff").await;
    assert_eq!(second.text(), "There is nothing to change.");
    let asked = agent.requests_in("empty-diff")[0]["messages"].to_string();
    assert!(asked.contains("[scenario: two-turns]") && asked.contains(&nonce), "{asked}");
    assert!(!first.messages[0].to_string().contains(&nonce));
}

#[tokio::test]
async fn what_is_harmless_runs_to_its_end() {
    let agent = Agent::start(&everything()).await;
    for scenario in ["leftovers", "empty-diff", "workspace-state", "workspace-look", "slow"] {
        let turn = agent.play(scenario).await;
        assert!(!turn.done().is_empty() && !turn.text().is_empty(), "{scenario}");
    }
    let left = git(&agent.repository(), &["status", "--porcelain"]).await;
    for file in ["farewell.txt", "slow.txt", "run.sh"] {
        assert!(left.contains(file), "{file} is not in {left}");
    }
    // It says when a session's model does not come to an end, too.
    let session = agent.session().await;
    agent.prompt(&session, "[scenario: never-finish] Go.").await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while agent.requests_in("never-finish").is_empty() {
        assert!(std::time::Instant::now() < until, "it never began");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let status = agent.get("/session/status").await;
    assert_eq!(status[&session]["type"], "busy", "{status}");
    agent.call(Method::POST, &format!("/session/{session}/abort"), &json!({})).await;
}
