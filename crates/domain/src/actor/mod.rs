//! An actor's own stream: what a person did or tried that belongs to no session or run.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::SessionId;

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
    /// They proved who they are and were not let in.
    #[serde(rename = "actor.sign_in.rejected")]
    SignInRejected {
        /// The stable code of why.
        code: String,
    },
    /// Browsers of theirs were signed out.
    #[serde(rename = "actor.signed.out")]
    SignedOut {
        /// At whose wish.
        by: SignOut,
        /// How many browsers.
        browsers: u32,
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
        /// What it is narrowed to; absent where it may do what its owner may.
        #[serde(default, skip_serializing_if = "TokenScope::is_whole")]
        scope: TokenScope,
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
    /// At an OpenID provider.
    Oidc,
}

/// At whose wish browsers were signed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignOut {
    /// Their own, in that browser.
    Person,
    /// The OpenID provider's, by a logout token.
    Provider,
}

/// What a token is narrowed to. Never more than its owner may do at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenScope {
    /// At most this role; absent is its owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// This session alone; absent is all of its owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// The roles that a token can be held to. From the lower to the higher.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// Reads, and changes nothing.
    Viewer,
    /// Works with sessions and runs.
    Maintainer,
}

impl Ceiling {
    /// Every ceiling.
    pub const ALL: [Self; 2] = [Self::Viewer, Self::Maintainer];

    /// The permanent wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Maintainer => "maintainer",
        }
    }
}

impl TokenScope {
    /// Whether it narrows nothing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether whoever has `wider` may give this on.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        let role = match (self.ceiling, wider.ceiling) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(wider)) => own <= wider,
        };
        role && (wider.session.is_none() || self.session == wider.session)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_given_on_only_where_it_is_no_wider() {
        let session = SessionId(Uuid::from_u128(1));
        let scope = |ceiling, session| TokenScope { ceiling, session };
        let whole = TokenScope::default();
        let (viewer, maintainer) = (Some(Ceiling::Viewer), Some(Ceiling::Maintainer));
        for (own, wider, may) in [
            (whole, whole, true),
            (scope(viewer, None), whole, true),
            (whole, scope(maintainer, None), false),
            (scope(viewer, None), scope(maintainer, None), true),
            (scope(maintainer, None), scope(viewer, None), false),
            (scope(None, Some(session)), whole, true),
            (whole, scope(None, Some(session)), false),
            (scope(viewer, Some(session)), scope(None, Some(session)), true),
            (scope(None, Some(SessionId(Uuid::from_u128(2)))), scope(None, Some(session)), false),
        ] {
            assert_eq!(own.is_within(&wider), may, "{own:?} within {wider:?}");
        }
    }
}
