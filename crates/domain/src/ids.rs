//! Newtype ids, so that a run's id is never taken for a session's, nor a position for a version.

use std::{fmt, num::ParseIntError, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

uuid_id!(
    /// A session: one line of work on one repository, with one working branch.
    SessionId,
    /// A run: one stretch of an agent's work in a session.
    RunId,
    /// One event, unique over the whole log; also its CloudEvents `id` and `Nats-Msg-Id`.
    EventId,
    /// A person, by an opaque id that says nothing about them.
    UserId,
    /// The row of `event_text` that holds a free text.
    TextId,
    /// A role binding: one role of one subject in one scope.
    BindingId,
    /// A credential for a forge.
    CredentialId,
    /// The place of one value of a credential in the secret store; drawn at random, and says nothing of it.
    ValueId,
    /// What one command caused: shared by all the events it appended.
    CorrelationId,
);

/// The place of an event in its stream: the first is 1, without gaps.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StreamVersion(pub u64);

impl StreamVersion {
    /// The version of a stream without events.
    pub const NONE: Self = Self(0);

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for StreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StreamVersion {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The place of an event in the whole log: the first is 1, without gaps. Assigned by the sequencer,
/// so it does not exist yet when a command returns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which workload of a run: 1 for the first, one more for each retry. Facts of an older generation
/// are refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of a run's first workload.
    pub const FIRST: Self = Self(1);

    /// The generation of the next retry.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The agent's own id of a prompt (`msg_…`), made by Paddock so that sending it twice is harmless.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct MessageId(pub String);

impl MessageId {
    /// Makes the id from the time and an event's random bits, in the agent's own form: `msg_`,
    /// twelve hexadecimal digits of `milliseconds * 4096` modulo 2^48, fourteen base62 digits.
    #[must_use]
    pub fn new(at: chrono::DateTime<chrono::Utc>, entropy: Uuid) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        let stamp = (millis * 4096) & 0xffff_ffff_ffff;
        let mut rest = entropy.as_u128();
        let tail: String = (0..14)
            .map(|_| {
                let digit = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
                rest /= 62;
                char::from(digit)
            })
            .collect();
        Self(format!("msg_{stamp:012x}{tail}"))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The agent's own id of a permission or question that waits for an answer.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct InputId(pub String);

impl fmt::Display for InputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A bundle's SHA-256 in lower-case hexadecimal: its name in the artifact store.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct BundleDigest(pub String);

impl fmt::Display for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
