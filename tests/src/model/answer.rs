//! A step as OpenAI's API says it, whole or as a stream.

use std::{fmt::Write as _, io, time::Duration};

use async_stream::stream;
use axum::response::sse::Event;
use futures::Stream;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::Step;

/// About how many bytes go in one piece of a streamed answer.
const PIECE: usize = 48;
/// About how many pieces a long answer has at most.
const PIECES: usize = 2000;

/// A step that answers a request.
pub(super) struct Answer {
    step: Step,
    id: String,
    model: String,
    created: i64,
    usage: Value,
    /// Whether a stream ends with its usage.
    says_usage: bool,
}

impl Answer {
    pub(super) fn new(step: Step, request: &Value) -> Self {
        let messages = request["messages"].to_string();
        let asked = messages.len() / 4 + 1;
        let said = [&step.text, &step.reasoning, &step.tool].into_iter().flatten();
        let said = said.map(String::len).sum::<usize>() / 4 + 1;
        Self {
            id: hex::encode(&Sha256::digest(messages)[..12]),
            model: request["model"].as_str().unwrap_or("scripted").to_owned(),
            created: chrono::Utc::now().timestamp(),
            usage: json!({
                "prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said,
            }),
            says_usage: request["stream_options"]["include_usage"] == true,
            step,
        }
    }

    /// What it says.
    fn text(&self) -> String {
        if let Some(lines) = self.step.numbered_lines {
            return (1..=lines).fold(String::new(), |mut text, number| {
                let _ = writeln!(text, "line {number}");
                text
            });
        }
        let times = usize::try_from(self.step.repeat.unwrap_or(1)).unwrap_or(1);
        self.step.text.as_deref().unwrap_or_default().repeat(times)
    }

    /// The tool call's name and arguments. Its id is the same for the same request.
    fn call(&self) -> Option<(String, &str, String)> {
        let name = self.step.tool.as_deref()?;
        let arguments = self.step.arguments.clone().unwrap_or_else(|| json!({})).to_string();
        Some((format!("call_{}", self.id), name, arguments))
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id), "object": "chat.completion.chunk",
            "created": self.created, "model": self.model, "choices": choices,
        })
    }

    fn delta(&self, delta: &Value, finish: Option<&str>) -> Event {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        Event::default().data(self.chunk(&choices).to_string())
    }

    /// The whole answer; it waits as long as the stream would.
    pub(super) async fn whole(self) -> Value {
        let text = self.text();
        let pieces = u32::try_from(pieces(&text).len()).unwrap_or(u32::MAX);
        sleep(Duration::from_millis(self.step.delay_ms) * pieces).await;
        if self.step.hang {
            std::future::pending::<()>().await;
        }
        let mut message = json!({ "role": "assistant", "content": text });
        if let Some(thought) = &self.step.reasoning {
            message["reasoning_content"] = thought.as_str().into();
        }
        let mut finish = "stop";
        if let Some((id, name, arguments)) = self.call() {
            let function = json!({ "name": name, "arguments": arguments });
            message["tool_calls"] = json!([{ "id": id, "type": "function", "function": function }]);
            finish = "tool_calls";
        }
        json!({
            "id": format!("chatcmpl-{}", self.id), "object": "chat.completion",
            "created": self.created, "model": self.model,
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
            "usage": self.usage,
        })
    }

    /// The answer as server-sent events.
    pub(super) fn streamed(self) -> impl Stream<Item = io::Result<Event>> {
        stream! {
            yield Ok(self.delta(&json!({ "role": "assistant", "content": "" }), None));
            let delay = Duration::from_millis(self.step.delay_ms);
            for piece in pieces(self.step.reasoning.as_deref().unwrap_or_default()) {
                sleep(delay).await;
                yield Ok(self.delta(&json!({ "reasoning_content": piece }), None));
            }
            for piece in pieces(&self.text()) {
                sleep(delay).await;
                yield Ok(self.delta(&json!({ "content": piece }), None));
            }
            if self.step.hang {
                std::future::pending::<()>().await;
            }
            if self.step.cut {
                // What was said goes out first.
                sleep(Duration::from_millis(50)).await;
                yield Err(io::Error::other("cut off as the scenario says"));
                return;
            }
            let mut finish = "stop";
            if let Some((id, name, arguments)) = self.call() {
                finish = "tool_calls";
                let function = json!({ "name": name, "arguments": "" });
                let call = json!({ "index": 0, "id": id, "type": "function", "function": function });
                yield Ok(self.delta(&json!({ "tool_calls": [call] }), None));
                for piece in pieces(&arguments) {
                    let call = json!({ "index": 0, "function": { "arguments": piece } });
                    yield Ok(self.delta(&json!({ "tool_calls": [call] }), None));
                }
            }
            yield Ok(self.delta(&json!({}), Some(finish)));
            if self.says_usage {
                let mut last = self.chunk(&json!([]));
                last["usage"] = self.usage.clone();
                yield Ok(Event::default().data(last.to_string()));
            }
            yield Ok(Event::default().data("[DONE]"));
        }
    }
}

/// A text in pieces; a long one in larger pieces, so that it does not take for ever.
fn pieces(text: &str) -> Vec<&str> {
    let size = PIECE.max(text.len() / PIECES);
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_text_and_never_split_a_letter() {
        let text = "ä🦀".repeat(20_000);
        let pieces = pieces(&text);
        assert!(pieces.len() > 1 && pieces.len() <= PIECES + 1, "{}", pieces.len());
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn numbered_lines_are_each_there_once() {
        let step = Step { numbered_lines: Some(20_000), ..Step::default() };
        let text = Answer::new(step, &json!({})).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20_000);
        assert!(lines.iter().zip(1..).all(|(line, number)| *line == format!("line {number}")));
    }
}
