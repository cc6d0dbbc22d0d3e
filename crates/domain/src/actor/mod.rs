//! An actor's own stream: what a person did or tried that belongs to no session or run.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an actor did. Wire names are permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// They signed in.
    #[serde(rename = "actor.signed.in")]
    SignedIn {
        /// How.
        method: SignIn,
    },
    /// A well-formed command of theirs was denied or rejected. Repeats within a minute are one event
    /// with a count, appended when the minute is over.
    #[serde(rename = "actor.command.refused")]
    CommandRefused(Refused),
    /// An API token was made; its value is nowhere.
    #[serde(rename = "actor.token.issued")]
    TokenIssued {
        /// The token's public id.
        token: Uuid,
        /// When it stops working.
        expires_at: DateTime<Utc>,
    },
    /// An API token stopped working before its time.
    #[serde(rename = "actor.token.revoked")]
    TokenRevoked {
        /// The token's public id.
        token: Uuid,
    },
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// By a one-time link printed on the machine itself.
    OneTimeLink,
}

/// The body of `actor.command.refused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The command, such as `run.cancel`.
    pub command: String,
    /// The stream it was for, such as `run-<uuid>`; absent where it was to make one.
    pub target: Option<String>,
    /// The stable code of the refusal.
    pub code: String,
    /// The id of the (first) request.
    pub request: String,
    /// How many times within the minute: at least 1.
    pub count: u32,
}
