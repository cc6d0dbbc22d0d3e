//! Streams: one aggregate's events, in order.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{BindingId, CredentialId, RunId, SessionId, UserId};

/// The kinds of streams. Wire names are permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// One session.
    Session,
    /// One run.
    Run,
    /// What one actor did that belongs to no other stream: refused commands, tokens, sign-ins.
    Actor,
    /// The log itself: adopted after a restore.
    Log,
    /// What people decided for the whole installation.
    Settings,
    /// One role of one subject in one scope.
    Binding,
    /// One credential for the forge.
    Credential,
}

impl StreamKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Session,
        Self::Run,
        Self::Actor,
        Self::Log,
        Self::Settings,
        Self::Binding,
        Self::Credential,
    ];

    /// The permanent wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Run => "run",
            Self::Actor => "actor",
            Self::Log => "log",
            Self::Settings => "settings",
            Self::Binding => "binding",
            Self::Credential => "credential",
        }
    }
}

/// A stream's name: `<kind>-<uuid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// What kind of aggregate it is of.
    pub kind: StreamKind,
    /// Which one.
    pub id: Uuid,
}

impl StreamId {
    /// The one stream about the log itself.
    pub const LOG: Self = Self { kind: StreamKind::Log, id: Uuid::nil() };
    /// The one stream of the installation's settings.
    pub const SETTINGS: Self = Self { kind: StreamKind::Settings, id: Uuid::nil() };
}

impl From<SessionId> for StreamId {
    fn from(id: SessionId) -> Self {
        Self { kind: StreamKind::Session, id: id.0 }
    }
}

impl From<RunId> for StreamId {
    fn from(id: RunId) -> Self {
        Self { kind: StreamKind::Run, id: id.0 }
    }
}

impl From<UserId> for StreamId {
    fn from(id: UserId) -> Self {
        Self { kind: StreamKind::Actor, id: id.0 }
    }
}

impl From<BindingId> for StreamId {
    fn from(id: BindingId) -> Self {
        Self { kind: StreamKind::Binding, id: id.0 }
    }
}

impl From<CredentialId> for StreamId {
    fn from(id: CredentialId) -> Self {
        Self { kind: StreamKind::Credential, id: id.0 }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.id.as_hyphenated())
    }
}

/// Why a text is not a stream's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stream is named <kind>-<uuid>, with kind one of session, run, actor, log, settings, binding, \
     credential"
)]
pub struct NotAStream;

impl FromStr for StreamId {
    type Err = NotAStream;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, id) = text.split_once('-').ok_or(NotAStream)?;
        let kind =
            StreamKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(NotAStream)?;
        let id = Uuid::try_parse(id).map_err(|_| NotAStream)?;
        Ok(Self { kind, id })
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
