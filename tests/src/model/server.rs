use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response, sse::Sse},
    routing::{get, post},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Played, Scenarios, Step, answer::Answer, play};
use crate::serving::{Serving, serve};

/// The most bytes of a request.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// How to start a model.
#[derive(Debug)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Scenarios beside the built-in ones, which they replace by name.
    pub scenarios: Option<PathBuf>,
    /// The file that gets a line of JSON for each request.
    pub log: PathBuf,
    /// What callers must show; nothing where there is none.
    pub key: Option<String>,
}

struct Model {
    scenarios: Scenarios,
    key: Option<String>,
    log: Mutex<File>,
    /// How often a step went wrong that is to go well in the end.
    failed: Mutex<HashMap<[u8; 32], u32>>,
}

/// Starts a model; its API is at `/v1`. It ends when what is returned is dropped.
pub async fn start(config: Config) -> anyhow::Result<Serving> {
    let scenarios = Scenarios::load(config.scenarios.as_deref())?;
    let log = OpenOptions::new().create(true).append(true).open(&config.log);
    let log = log.with_context(|| config.log.display().to_string())?;
    let listener = tokio::net::TcpListener::bind(config.listen).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let model = Arc::new(Model {
        scenarios,
        key: config.key,
        log: Mutex::new(log),
        failed: Mutex::default(),
    });
    let router = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(complete))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(model);
    Ok(serve(listener, url, router))
}

impl Model {
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.key else { return true };
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.strip_prefix("Bearer ")) == Some(key.as_str())
    }

    /// Notes a request: the conversation whole, the credential as its digest only.
    fn note(&self, headers: &HeaderMap, request: &Value, played: &Played) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let line = json!({
            "at": chrono::Utc::now(),
            "session": text("x-session-id").unwrap_or_default(),
            "authorization_sha256": text("authorization")
                .map(|value| hex::encode(Sha256::digest(value))),
            "scenario": played.scenario, "step": played.at,
            "stream": request["stream"], "model": request["model"],
            "messages": request["messages"],
        });
        // In one write: whoever reads meanwhile sees whole lines.
        let line = format!("{line}\n");
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = log.write_all(line.as_bytes());
    }

    /// Whether this step of a conversation has gone wrong as often as it should. A try that was cut off
    /// may stand in the next one's history, so the messages do not tell that it is the same.
    fn has_failed(&self, headers: &HeaderMap, request: &Value, played: &Played) -> bool {
        let Some(times) = played.step.times else { return false };
        let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let mut hash = Sha256::new();
        hash.update(headers.get("x-session-id").map_or(&[][..], |value| value.as_bytes()));
        for prompt in messages.iter().filter(|message| message["role"] == "user") {
            hash.update(prompt.to_string());
        }
        hash.update(played.at.to_string());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failed.entry(hash.finalize().into()).or_default();
        let enough = *count >= times;
        *count = count.saturating_add(1);
        enough
    }
}

async fn models(State(model): State<Arc<Model>>, headers: HeaderMap) -> Response {
    if !model.lets_in(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "Incorrect API key provided");
    }
    let names = std::iter::once("scripted").chain(model.scenarios.names());
    let names = names.map(
        |name| json!({ "id": name, "object": "model", "created": 0, "owned_by": "paddock-tests" }),
    );
    Json(json!({ "object": "list", "data": names.collect::<Vec<_>>() })).into_response()
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = json!({ "message": message, "type": kind, "param": null, "code": null });
    (status, Json(json!({ "error": error }))).into_response()
}

async fn complete(State(model): State<Arc<Model>>, headers: HeaderMap, body: Bytes) -> Response {
    if !model.lets_in(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "Incorrect API key provided");
    }
    let Ok(request @ Value::Object(_)) = serde_json::from_slice(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "the body is not a JSON object");
    };
    let played = play(&model.scenarios, &request);
    model.note(&headers, &request, &played);
    let goes_well = model.has_failed(&headers, &request, &played);
    let mut step = played.step;
    if goes_well {
        step = Step { status: None, raw: None, cut: false, ..step };
    }
    let status = step.status.and_then(|status| StatusCode::from_u16(status).ok());
    if let Some(status) = status {
        return refusal(status, step.message.as_deref().unwrap_or("it failed"));
    }
    if let Some(raw) = step.raw {
        return ([(header::CONTENT_TYPE, "text/event-stream")], raw).into_response();
    }
    let answer = Answer::new(step, &request);
    if request["stream"] == true {
        Sse::new(answer.streamed()).into_response()
    } else {
        Json(answer.whole().await).into_response()
    }
}
