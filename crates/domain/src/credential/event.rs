use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    credential::{CredentialName, Kind},
    github::Repository,
    ids::{Generation, UserId, ValueId},
};

/// What happened to a credential. Wire names are permanent; no body ever holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// Somebody registered it, with its first value: generation 1.
    #[serde(rename = "credential.registered")]
    Registered(Registered),
    /// It has another value.
    #[serde(rename = "credential.rotated")]
    Rotated {
        /// Which value counts from now on.
        generation: Generation,
        /// Where that is.
        value: ValueId,
    },
    /// The forge was asked what it is good for.
    #[serde(rename = "credential.verified")]
    Verified(Checked),
    /// It is good for nothing any more.
    #[serde(rename = "credential.revoked")]
    Revoked {},
}

/// The body of `credential.registered`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// What it is called.
    pub name: CredentialName,
    /// What kind it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whose it is; nobody's where several share it.
    pub owner: Option<UserId>,
    /// Where its value is.
    pub value: ValueId,
}

/// The body of `credential.verified`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Which value was tried.
    pub generation: Generation,
    /// On which repository; none where only the value itself was tried.
    pub repo: Option<Repository>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of asking the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The forge takes it.
    Works {
        /// Whether it may push to the repository, where one was named.
        push: Option<bool>,
        /// When it expires, where the forge says.
        expires_at: Option<DateTime<Utc>>,
    },
    /// The forge refuses it.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// It could not be found out.
    Unknown {
        /// Why.
        reason: Reason,
    },
}

/// Why the forge refuses a credential, or why that could not be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The value is wrong, expired or revoked at the forge.
    BadCredential,
    /// It is good, and may not do this.
    Forbidden,
    /// There is no such repository, or the credential may not see it.
    RepositoryNotFound,
    /// The app is not installed on the repository.
    NotInstalled,
    /// The forge takes no more requests now.
    RateLimited,
    /// The forge cannot be reached or fails.
    Unreachable,
    /// What it answered makes no sense.
    Unreadable,
    /// The value could not be read from the secret store.
    StoreAway,
}
