use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_stream::stream;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures::Stream;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::{Scenarios, Step, step_of};

/// About how many bytes go in one piece of a streamed answer.
const PIECE: usize = 48;

/// A running model.
pub struct Model {
    scenarios: Scenarios,
    key: String,
    log: Mutex<File>,
}

impl Model {
    /// Plays the built-in scenarios and those in `dir`; logs each request as a line of JSON.
    pub fn new(dir: Option<&Path>, log: &Path, key: String) -> anyhow::Result<Arc<Self>> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        Ok(Arc::new(Self { scenarios: Scenarios::load(dir)?, key, log: Mutex::new(log) }))
    }

    /// Notes a request: the conversation whole, the credential as its digest only.
    fn note(&self, headers: &HeaderMap, request: &Value) {
        let text =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let line = json!({
            "at": chrono::Utc::now(),
            "session": text("x-session-id"),
            "authorization_sha256": hex::encode(Sha256::digest(text("authorization"))),
            "stream": request["stream"], "model": request["model"], "messages": request["messages"],
        });
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(log, "{line}");
    }
}

/// The model's routes.
pub fn router(model: Arc<Model>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(complete))
        .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
        .with_state(model)
}

async fn models(State(model): State<Arc<Model>>, headers: HeaderMap) -> Response {
    if !has_key(&model, &headers) {
        return refusal(StatusCode::UNAUTHORIZED, "Incorrect API key provided");
    }
    Json(json!({ "object": "list", "data": [{ "id": "scripted", "object": "model" }] }))
        .into_response()
}

fn has_key(model: &Model, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")) == Some(model.key.as_str())
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let error = json!({ "error": { "message": message, "type": "server_error", "code": null } });
    (status, Json(error)).into_response()
}

async fn complete(
    State(model): State<Arc<Model>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    if !has_key(&model, &headers) {
        return refusal(StatusCode::UNAUTHORIZED, "Incorrect API key provided");
    }
    model.note(&headers, &request);
    let (_, step) = step_of(&model.scenarios, &request);
    if let Some(status) = step.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        return refusal(status, step.message.as_deref().unwrap_or("it failed"));
    }
    if request["stream"] == true {
        return Sse::new(streamed(step)).into_response();
    }
    Json(whole(&step)).into_response()
}

/// What a step says.
fn text_of(step: &Step) -> String {
    if let Some(lines) = step.numbered_lines {
        let lines: Vec<String> = (1..=lines).map(|number| format!("line {number}")).collect();
        return format!("{}\n", lines.join("\n"));
    }
    let text = step.text.clone().unwrap_or_default();
    text.repeat(usize::try_from(step.repeat.unwrap_or(1)).unwrap_or(1))
}

fn usage(step: &Step) -> Value {
    let out = text_of(step).len() / 4 + 10;
    json!({ "prompt_tokens": 100, "completion_tokens": out, "total_tokens": 100 + out })
}

fn call(step: &Step) -> Option<Value> {
    let name = step.tool.as_ref()?;
    let arguments = step.arguments.clone().unwrap_or_else(|| json!({})).to_string();
    let id = format!("call_{}", hex::encode(&Sha256::digest(format!("{name}{arguments}"))[..8]));
    Some(
        json!({ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }),
    )
}

fn whole(step: &Step) -> Value {
    let mut message = json!({ "role": "assistant", "content": text_of(step) });
    let mut finish = "stop";
    if let Some(call) = call(step) {
        message["tool_calls"] = json!([call]);
        finish = "tool_calls";
    }
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 0, "model": "scripted",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": usage(step),
    })
}

fn chunk(delta: &Value, finish: Option<&str>) -> Event {
    Event::default().data(
        json!({
            "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0,
            "model": "scripted",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
        .to_string(),
    )
}

fn streamed(step: Step) -> impl Stream<Item = Result<Event, Infallible>> {
    stream! {
        yield Ok(chunk(&json!({ "role": "assistant", "content": "" }), None));
        let delay = Duration::from_millis(step.delay_ms);
        if let Some(thought) = &step.reasoning {
            yield Ok(chunk(&json!({ "reasoning_content": thought }), None));
        }
        if step.hang {
            std::future::pending::<()>().await;
        }
        for piece in pieces(&text_of(&step)) {
            sleep(delay).await;
            yield Ok(chunk(&json!({ "content": piece }), None));
        }
        let finish = match call(&step) {
            Some(call) => {
                yield Ok(chunk(&json!({ "tool_calls": [call] }), None));
                "tool_calls"
            }
            None => "stop",
        };
        yield Ok(chunk(&json!({}), Some(finish)));
        let last = json!({
            "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0,
            "model": "scripted", "choices": [], "usage": usage(&step),
        });
        yield Ok(Event::default().data(last.to_string()));
        yield Ok(Event::default().data("[DONE]"));
    }
}

/// A text in pieces; a long one in larger pieces, so that it does not take for ever.
fn pieces(text: &str) -> Vec<String> {
    let size = PIECE.max(text.len() / 2000);
    let mut pieces = vec![String::new()];
    for letter in text.chars() {
        if let Some(last) = pieces.last_mut()
            && last.len() < size
        {
            last.push(letter);
        } else {
            pieces.push(letter.to_string());
        }
    }
    pieces
}
