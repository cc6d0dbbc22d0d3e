use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// An OpenAI-compatible model that does what the prompt says: `run: COMMAND` makes it call the shell.
#[derive(Default)]
pub(crate) struct Model {
    asked: Mutex<Vec<Value>>,
}

impl Model {
    /// Everything it was ever asked, as one text.
    pub(crate) fn was_asked(&self) -> String {
        Value::from(self.asked.lock().unwrap().clone()).to_string()
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }
}

pub(super) fn router(model: Arc<Model>) -> Router {
    Router::new().route("/model/v1/chat/completions", post(complete)).with_state(model)
}

async fn complete(State(model): State<Arc<Model>>, Json(asked): Json<Value>) -> Response {
    let last = asked["messages"].as_array().and_then(|messages| messages.last()).cloned();
    let last = last.unwrap_or_default();
    let has_tools = asked["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    model.asked.lock().unwrap().push(asked);
    let said = last["content"].to_string();
    let command = said.split_once("run: ").filter(|_| has_tools && last["role"] == "user");
    let (delta, reason) = match command {
        Some((_, command)) => {
            let command = command.split("\\n").next().unwrap().trim_end_matches(['"', '}', ']']);
            let arguments = json!({ "command": command, "description": "as told" }).to_string();
            let function = json!({ "name": "bash", "arguments": arguments });
            let call =
                json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
            (json!({ "role": "assistant", "tool_calls": [call] }), "tool_calls")
        }
        None => (json!({ "role": "assistant", "content": "All done." }), "stop"),
    };
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        json!({
            "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "scripted",
            "choices": [choice],
            "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
        })
    };
    let text = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk(delta, Value::Null),
        chunk(json!({}), reason.into())
    );
    ([(header::CONTENT_TYPE, "text/event-stream")], text).into_response()
}
