//! Which step a conversation has come to: pure.

use serde_json::Value;

use super::{Scenarios, Step};

/// What a request asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A short title for a conversation: OpenCode asks for one beside its work.
    Title,
    /// The next answer.
    Next,
}

/// What is asked, and the step that answers it.
#[must_use]
pub fn step_of(scenarios: &Scenarios, request: &Value) -> (Asked, Step) {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let offers_tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if !offers_tools {
        let title = Step { text: Some("Work on the repository".to_owned()), ..Step::default() };
        return (Asked::Title, title);
    }
    let prompts = || messages.iter().enumerate().filter(|(_, message)| message["role"] == "user");
    let named = prompts()
        .filter_map(|(at, message)| Some((at, scenarios.named(&text_of(message))?)))
        .next_back();
    let newest = prompts().next_back();
    let chosen = match (named, newest) {
        // A prompt that names none after one that did goes on with that one's scenario from its start,
        // unless it fits one itself.
        (Some((at, (_, scenario))), _) => Some((at, scenario)),
        (None, Some((at, message))) => {
            scenarios.fitting(&text_of(message)).map(|(_, scenario)| (at, scenario))
        }
        (None, None) => None,
    };
    let Some((at, scenario)) = chosen else { return (Asked::Next, Step::default()) };
    let at = newest.map_or(at, |(newest, _)| newest.max(at));
    let results = messages[at..].iter().filter(|message| message["role"] == "tool").count();
    let step = scenario.step.get(results).or_else(|| scenario.step.last());
    (Asked::Next, step.cloned().unwrap_or_default())
}

/// A message's text, whichever of the two forms it has.
fn text_of(message: &Value) -> String {
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

    fn request(messages: &Value) -> Value {
        json!({ "messages": messages, "tools": [{}] })
    }

    #[test]
    fn the_step_is_the_number_of_results_since_the_newest_prompt() {
        let scenarios = Scenarios::load(None).unwrap();
        let prompt = json!({ "role": "user", "content": "[scenario: leftovers] go" });
        let call = json!({ "role": "assistant", "content": null });
        let result = json!({ "role": "tool", "content": "ok" });
        let first = step_of(&scenarios, &request(&json!([prompt]))).1;
        assert!(first.tool.is_some());
        let history = json!([prompt, call, result, call, result]);
        let last = step_of(&scenarios, &request(&history)).1;
        assert!(last.tool.is_none() && last.text.is_some(), "{last:?}");
        let again =
            json!([prompt, call, result, { "role": "user", "content": [{ "text": "more" }] }]);
        assert!(step_of(&scenarios, &request(&again)).1.tool.is_some());
    }
}
