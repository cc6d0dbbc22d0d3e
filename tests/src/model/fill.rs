//! Placeholders: what a step says of the conversation.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{{directory}}` | the agent's working directory, from OpenCode's system prompt |
//! | `{{prompt}}` | the newest prompt |
//! | `{{last_result}}` | the newest tool result |
//! | `{{line:WORDS}}` | what follows WORDS in the newest tool result's line that begins with them |
//! | `{{nonce}}` | sixteen letters that follow from the conversation up to the newest prompt |

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Step, play::text_of};

/// The repository's place in every sandbox, where the system prompt names none.
const DIRECTORY: &str = "/workspace/repo";

/// Fills the placeholders of a step.
pub(super) fn fill(step: &mut Step, messages: &[Value], prompt: &str) {
    let value = |name: &str| value_of(name, messages, prompt);
    for text in [&mut step.text, &mut step.reasoning, &mut step.raw].into_iter().flatten() {
        *text = replaced(text, &value);
    }
    if let Some(arguments) = &mut step.arguments {
        fill_value(arguments, &value);
    }
}

/// The placeholders in a text that are none.
pub(super) fn unknown_in(text: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    replaced(text, |name| {
        let known = matches!(name, "directory" | "prompt" | "last_result" | "nonce");
        if !known && !name.starts_with("line:") {
            unknown.push(name.to_owned());
        }
        String::new()
    });
    unknown
}

fn fill_value(value: &mut Value, with: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = replaced(text, with),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_value(item, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_value(field, with)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replaced(text: &str, mut with: impl FnMut(&str) -> String) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        whole.push_str(before);
        whole.push_str(&with(name));
        rest = after;
    }
    whole + rest
}

fn value_of(name: &str, messages: &[Value], prompt: &str) -> String {
    let mut results =
        messages.iter().rev().filter(|message| message["role"] == "tool").map(text_of);
    match name {
        "prompt" => prompt.to_owned(),
        "last_result" => results.next().unwrap_or_default(),
        "directory" => directory(messages).unwrap_or_else(|| DIRECTORY.to_owned()),
        "nonce" => nonce(messages),
        _ => {
            let words = name.strip_prefix("line:").unwrap_or(name);
            let found = results.find_map(|result| {
                result.lines().find_map(|line| line.strip_prefix(words).map(str::to_owned))
            });
            found.unwrap_or_default()
        }
    }
}

fn directory(messages: &[Value]) -> Option<String> {
    messages.iter().filter(|message| message["role"] == "system").find_map(|message| {
        let text = text_of(message);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("Working directory: "));
        line.map(str::to_owned)
    })
}

fn nonce(messages: &[Value]) -> String {
    let newest = messages.iter().rposition(|message| message["role"] == "user").unwrap_or(0);
    let mut hash = Sha256::new();
    for message in messages.iter().take(newest + 1).filter(|message| message["role"] != "system") {
        hash.update(text_of(message));
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled_in_texts_and_deep_in_arguments() {
        let messages = [
            json!({ "role": "system", "content": "<env>\n  Working directory: /tmp/x\n</env>" }),
            json!({ "role": "user", "content": "go" }),
            json!({ "role": "tool", "content": "first\nnonce 1" }),
            json!({ "role": "tool", "content": "second" }),
        ];
        let mut step = Step {
            text: Some("{{prompt}}: {{last_result}}, {{line:nonce }}, {{line:none}}.".to_owned()),
            arguments: Some(json!({ "a": [{ "b": "{{directory}}/f" }], "c": 1 })),
            ..Step::default()
        };
        fill(&mut step, &messages, "go");
        assert_eq!(step.text.as_deref(), Some("go: second, 1, ."));
        assert_eq!(step.arguments, Some(json!({ "a": [{ "b": "/tmp/x/f" }], "c": 1 })));
    }

    #[test]
    fn a_nonce_is_the_same_within_a_turn_and_another_in_the_next() {
        let prompt = json!({ "role": "user", "content": "go" });
        let result = json!({ "role": "tool", "content": "ok" });
        let first = nonce(std::slice::from_ref(&prompt));
        assert_eq!(first, nonce(&[prompt.clone(), result.clone()]));
        assert_ne!(first, nonce(&[prompt.clone(), result, prompt]));
    }

    #[test]
    fn a_placeholder_that_is_none_is_found() {
        assert_eq!(unknown_in("{{nonce}} {{x}} {{line:a}} ${b} {{open"), ["x"]);
    }
}
