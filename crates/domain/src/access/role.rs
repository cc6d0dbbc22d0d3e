use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{CredentialId, SessionId};

/// What somebody is to something. The order is that of rights: each includes the one before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks on.
    Viewer,
    /// Works with it.
    Maintainer,
    /// Decides over it.
    Admin,
}

impl Role {
    /// Every role, the one with the fewest rights first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Maintainer, Self::Admin];

    /// The permanent wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a role holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Scope {
    /// The whole installation.
    Global,
    /// One session, with its runs.
    Session(SessionId),
    /// One credential.
    Credential(CredentialId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::Credential(id) => write!(f, "credential:{id}"),
        }
    }
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is global, session:<id> or credential:<id>")]
pub struct NotAScope;

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "global" => Ok(Self::Global),
            Some(("session", id)) => id.parse().map(Self::Session).map_err(|_| NotAScope),
            Some(("credential", id)) => id.parse().map(Self::Credential).map_err(|_| NotAScope),
            Some(_) | None => Err(NotAScope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        let id = uuid::Uuid::from_u128(7);
        for scope in
            [Scope::Global, Scope::Session(SessionId(id)), Scope::Credential(CredentialId(id))]
        {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in
            ["", "Global", "session", "session:x", "run:01890a5d-ac96-774b-bcce-b302099a8057"]
        {
            assert_eq!(text.parse::<Scope>(), Err(NotAScope), "{text}");
        }
    }

    #[test]
    fn an_admin_is_more_than_a_maintainer_and_that_more_than_a_viewer() {
        assert!(Role::Admin > Role::Maintainer && Role::Maintainer > Role::Viewer);
    }
}
