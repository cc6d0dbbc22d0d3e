use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{RepositoryPattern, Role, Scope, Subject};

/// What happened to a binding. Wire names are permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// Somebody was given a role.
    #[serde(rename = "binding.role.granted")]
    RoleGranted(Grant),
    /// The role was taken.
    #[serde(rename = "binding.role.revoked")]
    RoleRevoked(Revoked),
}

/// The body of `binding.role.granted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Who has it.
    pub subject: Subject,
    /// What they are.
    pub role: Role,
    /// Where.
    pub scope: Scope,
    /// The repositories that a maintainer of the installation works with; empty for every other role.
    pub repositories: Vec<RepositoryPattern>,
}

/// The body of `binding.role.revoked`: what was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// Who had it.
    pub subject: Subject,
    /// What they were.
    pub role: Role,
    /// Where.
    pub scope: Scope,
}
