use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// Who a role is bound to.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Subject {
    /// A person.
    User(UserId),
    /// Everybody whom the identity provider counts to a group of exactly this name.
    Group(String),
    /// Whoever applies objects to the cluster under a name, by the id of that name. Never a person who signed in.
    Kubernetes(UserId),
}
