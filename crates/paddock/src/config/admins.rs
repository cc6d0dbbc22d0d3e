//! Who has rights before anybody was given any.

use serde::Serialize;

use super::listed;

/// Somebody who is an admin by configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub(crate) enum ConfiguredAdmin {
    /// Whoever the identity provider counts to this group.
    Group(String),
    /// Whom it calls by this subject. Not an e-mail address: at many providers people choose that themselves.
    User(String),
}

impl std::str::FromStr for ConfiguredAdmin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("group", name)) if !name.is_empty() => Ok(Self::Group(name.to_owned())),
            Some(("user", name)) if !name.is_empty() => Ok(Self::User(name.to_owned())),
            Some(_) | None => Err("is neither group:NAME nor user:SUBJECT"),
        }
    }
}

impl From<ConfiguredAdmin> for String {
    fn from(admin: ConfiguredAdmin) -> Self {
        match admin {
            ConfiguredAdmin::Group(name) => format!("group:{name}"),
            ConfiguredAdmin::User(name) => format!("user:{name}"),
        }
    }
}

pub(super) fn admins(text: Option<&str>) -> anyhow::Result<Vec<ConfiguredAdmin>> {
    listed(text)
        .map(|name| name.parse().map_err(|words| anyhow::anyhow!("admins = {name}: it {words}")))
        .collect()
}
