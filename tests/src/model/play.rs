//! Which step a conversation has come to: pure.

use serde_json::Value;

use super::{Scenario, Scenarios, Step, fill::fill};

/// The longest title.
const TITLE: usize = 50;

/// What is answered, and what of which scenario it is.
#[derive(Clone, Debug)]
pub struct Played {
    /// The scenario; none for a title.
    pub scenario: Option<String>,
    /// Which step of its turn, from 0.
    pub at: usize,
    /// The answer, its placeholders filled.
    pub step: Step,
}

/// The answer to a request.
#[must_use]
pub fn play(scenarios: &Scenarios, request: &Value) -> Played {
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let offers_tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let prompts: Vec<(usize, String)> = messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message["role"] == "user")
        .map(|(at, message)| (at, text_of(message)))
        .collect();
    let newest = prompts.last().map_or("", |(_, prompt)| prompt.as_str());
    let model = request["model"].as_str().unwrap_or_default();
    let chosen = scenarios.get(model).or_else(|| scenarios.named(newest));
    if asks_for_title(messages) || (!offers_tools && chosen.is_none()) {
        return Played { scenario: None, at: 0, step: title(newest) };
    }
    // A prompt that names none goes on with the last that was named; else what it is about decides.
    let earlier = || prompts.iter().rev().find_map(|(_, prompt)| scenarios.named(prompt));
    let chosen = chosen.or_else(earlier).or_else(|| scenarios.fitting(newest));
    let Some((name, scenario)) = chosen else {
        return Played { scenario: None, at: 0, step: Step::default() };
    };
    let newest_at = prompts.last().map_or(0, |(at, _)| *at);
    let at = messages[newest_at..].iter().filter(|message| message["role"] == "tool").count();
    let before = prompts.iter().rev().skip(1);
    let again = before
        .clone()
        .any(|(_, prompt)| scenarios.named(prompt).is_some_and(|(known, _)| known == name));
    let mut step = nth(scenario, again, at);
    fill(&mut step, messages, newest);
    Played { scenario: Some(name.to_owned()), at, step }
}

fn nth(scenario: &Scenario, again: bool, at: usize) -> Step {
    let steps = if again && !scenario.again.is_empty() { &scenario.again } else { &scenario.step };
    steps.get(at).or_else(|| steps.last()).cloned().unwrap_or_default()
}

/// OpenCode asks for a title beside its work, by a system prompt of its own.
fn asks_for_title(messages: &[Value]) -> bool {
    messages.iter().any(|message| {
        message["role"] == "system" && text_of(message).starts_with("You are a title generator")
    })
}

/// The first line of what was asked, without the scenario's name.
fn title(prompt: &str) -> Step {
    let plain = match (prompt.find("[scenario:"), prompt.find(']')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &prompt[..from], &prompt[to + 1..]),
        _ => prompt.to_owned(),
    };
    let line = plain.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("Work");
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(TITLE).collect();
    Step { text: Some(line.trim_matches(['"', '#', ' ']).to_owned()), ..Step::default() }
}

/// A message's text, whichever of the two forms it has.
pub(super) fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn played(messages: &[Value]) -> Played {
        let request = json!({ "messages": messages, "tools": [{}] });
        play(&Scenarios::load(None).unwrap(), &request)
    }

    fn user(text: &str) -> Value {
        json!({ "role": "user", "content": text })
    }

    fn called(result: &str) -> [Value; 2] {
        [
            json!({ "role": "assistant", "content": null }),
            json!({ "role": "tool", "content": result }),
        ]
    }

    #[test]
    fn the_step_is_the_number_of_results_since_the_newest_prompt() {
        let mut history = vec![user("[scenario: leftovers] go")];
        assert!(played(&history).step.tool.is_some());
        history.extend(called("ok"));
        let last = played(&history);
        assert_eq!((last.scenario.as_deref(), last.at), (Some("leftovers"), 1));
        assert!(last.step.tool.is_none() && last.step.text.is_some(), "{last:?}");
        history.push(json!({ "role": "user", "content": [{ "type": "text", "text": "more" }] }));
        let more = played(&history);
        assert_eq!((more.scenario.as_deref(), more.at), (Some("leftovers"), 0));
    }

    #[test]
    fn a_second_turn_remembers_what_only_a_tool_result_held() {
        let mut history = vec![user("[scenario: two-turns] go")];
        history.extend(called("nonce 4711\n"));
        history.push(json!({ "role": "assistant", "content": "I will remember it." }));
        history.push(user("And now?"));
        let answer = played(&history).step.text.unwrap();
        assert!(answer.contains("4711"), "{answer}");
    }

    #[test]
    fn the_models_name_chooses_too_and_needs_no_tools() {
        let request = json!({ "model": "fail-500", "messages": [user("hello")] });
        let played = play(&Scenarios::load(None).unwrap(), &request);
        assert_eq!(played.step.status, Some(500));
    }

    #[test]
    fn a_title_is_made_even_for_a_scenario_that_fails() {
        let system = "You are a title generator. You output ONLY a thread title.";
        let messages =
            [json!({ "role": "system", "content": system }), user("[scenario: fail-500] Fix it")];
        let played = played(&messages);
        assert_eq!(played.step.text.as_deref(), Some("Fix it"));
        assert_eq!(played.scenario, None);
    }

    #[test]
    fn the_demos_issue_is_recognised_by_its_words() {
        let mut history = vec![user("greet.sh greets nobody by name\n\n`./greet.sh Ada` prints…")];
        assert_eq!(played(&history).scenario.as_deref(), Some("fix-greeter"));
        history.push(user("Also greet people who give no name"));
        assert_eq!(played(&history).scenario.as_deref(), Some("greet-everybody"));
    }
}
