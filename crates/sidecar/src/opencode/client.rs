use std::{collections::BTreeMap, time::Duration};

use domain::ids::MessageId;
use eventsource_stream::Eventsource as _;
use futures::{Stream, StreamExt as _};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::types::{Listed, Session, SessionStatus};
use crate::{SidecarError, harness_client::bounded};

/// How long an ordinary request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every method and path that the client uses, as OpenCode's own `/doc` names them: a test compares.
pub const ENDPOINTS: [(&str, &str); 13] = [
    ("get", "/session"),
    ("post", "/session"),
    ("get", "/session/{sessionID}"),
    ("get", "/session/status"),
    ("get", "/session/{sessionID}/message"),
    ("post", "/session/{sessionID}/prompt_async"),
    ("post", "/session/{sessionID}/abort"),
    ("get", "/permission"),
    ("post", "/permission/{requestID}/reply"),
    ("get", "/question"),
    ("post", "/question/{requestID}/reply"),
    ("post", "/question/{requestID}/reject"),
    ("get", "/event"),
];

/// OpenCode's API at one base address.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<(String, String)>,
}

type Answer<T> = Result<T, SidecarError>;

impl Client {
    /// The API below `base`, which adds the password itself.
    pub fn new(http: reqwest::Client, base: &str) -> Self {
        Self { http, base: base.to_owned(), authorization: None }
    }

    /// The API of a server that is asked directly.
    #[must_use]
    pub fn with_password(self, user: &str, password: &str) -> Self {
        Self { authorization: Some((user.to_owned(), password.to_owned())), ..self }
    }

    /// Every session of the directory.
    pub async fn sessions(&self) -> Answer<Vec<Session>> {
        self.get("session").await
    }

    /// One session.
    pub async fn session(&self, id: &str) -> Answer<Session> {
        self.get(&format!("session/{id}")).await
    }

    /// Makes a session.
    pub async fn create_session(&self, title: &str) -> Answer<Session> {
        let answer = self.request(Method::POST, "session").json(&json!({ "title": title }));
        parse(answer.send().await).await
    }

    /// What each session does.
    pub async fn status(&self) -> Answer<BTreeMap<String, SessionStatus>> {
        self.get("session/status").await
    }

    /// A session's messages, all of them.
    pub async fn messages(&self, id: &str) -> Answer<Vec<Listed>> {
        self.get(&format!("session/{id}/message")).await
    }

    /// Tells the agent something. With the same message id, a second time changes nothing.
    pub async fn prompt(&self, session: &str, message: &MessageId, text: &str) -> Answer<()> {
        // Without an id of its own, the part would be doubled by a repeat.
        let part = format!("prt_{}", message.0.trim_start_matches("msg_"));
        let body = json!({
            "messageID": message,
            "parts": [{ "id": part, "type": "text", "text": text }],
        });
        self.post(&format!("session/{session}/prompt_async"), &body).await
    }

    /// Stops the turn.
    pub async fn abort(&self, session: &str) -> Answer<()> {
        self.post(&format!("session/{session}/abort"), &json!({})).await
    }

    /// What waits for a permission, in the agent's own JSON.
    pub async fn permissions(&self) -> Answer<Vec<Value>> {
        self.get("permission").await
    }

    /// Answers a permission: `once`, `always` or `reject`.
    pub async fn reply(&self, id: &str, reply: &str, message: Option<&str>) -> Answer<()> {
        let mut body = json!({ "reply": reply });
        if let Some(message) = message {
            body["message"] = message.into();
        }
        self.post(&format!("permission/{id}/reply"), &body).await
    }

    /// What waits for an answer, in the agent's own JSON.
    pub async fn questions(&self) -> Answer<Vec<Value>> {
        self.get("question").await
    }

    /// Answers a question: the chosen labels of each of its parts.
    pub async fn answer(&self, id: &str, answers: &[Vec<String>]) -> Answer<()> {
        self.post(&format!("question/{id}/reply"), &json!({ "answers": answers })).await
    }

    /// Refuses to answer a question.
    pub async fn reject_question(&self, id: &str) -> Answer<()> {
        self.post(&format!("question/{id}/reject"), &json!({})).await
    }

    /// What happens, as it happens. Lossy: it says when to look, not what there is.
    pub async fn events(&self) -> Answer<impl Stream<Item = Value> + use<>> {
        let answer = self.request(Method::GET, "event").timeout(Duration::from_hours(24));
        let answer = answer.send().await.map_err(SidecarError::Harness)?;
        let events = answer.bytes_stream().eventsource();
        Ok(events.filter_map(|event| async { serde_json::from_str(&event.ok()?.data).ok() }))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/{path}", self.base)).timeout(PATIENCE);
        match &self.authorization {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        parse(self.request(Method::GET, path).send().await).await
    }

    /// What is not there any more needs no answer.
    async fn post(&self, path: &str, body: &Value) -> Answer<()> {
        let answer = self.request(Method::POST, path).json(body).send().await;
        let answer = answer.map_err(SidecarError::Harness)?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&bounded(answer).await?).into_owned();
        Err(SidecarError::Nonsense(format!("{path} answered {status}: {words}")))
    }
}

async fn parse<T: DeserializeOwned>(answer: Result<Response, reqwest::Error>) -> Answer<T> {
    let answer = answer.map_err(SidecarError::Harness)?;
    let status = answer.status();
    let bytes = bounded(answer).await?;
    if !status.is_success() {
        let words = String::from_utf8_lossy(&bytes).into_owned();
        return Err(SidecarError::Nonsense(format!("it answered {status}: {words}")));
    }
    Ok(serde_json::from_slice(&bytes)?)
}
