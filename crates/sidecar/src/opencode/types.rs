use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A session, from `GET /session/{id}` and `GET /session`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Session {
    /// `ses_…`
    pub id: String,
    /// The directory that its prompts run in.
    pub directory: String,
    /// The session whose subtask it is.
    #[serde(rename = "parentID")]
    pub parent_id: Option<String>,
    /// When.
    pub time: SessionTime,
    /// What it cost so far, in US dollars.
    #[serde(default)]
    pub cost: f64,
    /// What it used so far.
    #[serde(default)]
    pub tokens: Tokens,
}

/// When a session was made and last changed, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct SessionTime {
    /// Made.
    pub created: f64,
    /// Last changed.
    pub updated: f64,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Tokens {
    /// Read, without those from a cache.
    #[serde(default)]
    pub input: f64,
    /// Written.
    #[serde(default)]
    pub output: f64,
    /// Of reasoning.
    #[serde(default)]
    pub reasoning: f64,
    /// By way of a cache.
    #[serde(default)]
    pub cache: TokensCache,
}

/// Tokens by way of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct TokensCache {
    /// Read from it.
    #[serde(default)]
    pub read: f64,
    /// Written to it.
    #[serde(default)]
    pub write: f64,
}

/// A message with its parts, from `GET /session/{id}/message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The message, in the agent's own JSON.
    pub info: Value,
    /// Its parts, in the agent's own JSON.
    pub parts: Vec<Value>,
}

impl Listed {
    /// What Paddock decides by.
    #[must_use]
    pub fn typed(&self) -> Option<MessageInfo> {
        serde_json::from_value(self.info.clone()).ok()
    }
}

/// What Paddock decides by of a message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MessageInfo {
    /// `msg_…`
    pub id: String,
    /// `user` or `assistant`.
    pub role: String,
    /// The prompt that an assistant's message answers.
    #[serde(rename = "parentID")]
    pub parent_id: Option<String>,
    /// When.
    pub time: Time,
    /// Why it stopped: `stop`, `tool-calls`, `length`, …
    pub finish: Option<String>,
    /// What went wrong.
    pub error: Option<MessageError>,
}

/// When a message began and ended, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Time {
    /// Began.
    pub created: f64,
    /// Ended.
    pub completed: Option<f64>,
}

/// An error of a message or a session.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MessageError {
    /// Such as `APIError`, `ProviderAuthError`, `MessageAbortedError`.
    pub name: String,
    /// Usually with a `message`.
    #[serde(default)]
    pub data: Value,
}

impl MessageError {
    /// The words of whoever failed.
    #[must_use]
    pub fn words(&self) -> String {
        self.data["message"].as_str().map_or_else(|| self.name.clone(), str::to_owned)
    }
}

/// What a session does, from `GET /session/status`; a session that is not in the answer is idle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SessionStatus {
    /// Nothing.
    Idle,
    /// It works, or waits for an answer.
    Busy,
    /// The model failed; it is asked again.
    Retry {
        /// Which try this was.
        attempt: f64,
        /// In the model's own words.
        message: String,
    },
}

/// What waits for a permission, from `GET /permission`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PendingPermission {
    /// `per_…`
    pub id: String,
    /// Whose.
    #[serde(rename = "sessionID")]
    pub session_id: String,
}

/// What waits for an answer, from `GET /question`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PendingQuestion {
    /// `que_…`
    pub id: String,
    /// Whose.
    #[serde(rename = "sessionID")]
    pub session_id: String,
}
