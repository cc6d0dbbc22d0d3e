use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{as_text::as_text, github::Repository};

/// Repositories by name: `owner/name` where `*` stands for any characters but the slash; `*` alone for all.
/// Letter case does not count, as on the forge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RepositoryPattern(String);

/// Why a text names no repositories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("repositories are named owner/name, owner/* or *, with * for any characters")]
pub struct NotAPattern;

impl RepositoryPattern {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In small letters, always with a slash: what is compared with a repository's name in small letters.
    #[must_use]
    pub fn folded(&self) -> String {
        if self.0 == "*" { "*/*".to_owned() } else { self.0.to_ascii_lowercase() }
    }

    /// As a pattern of SQL's `like`.
    #[must_use]
    pub fn as_sql(&self) -> String {
        let mut sql = String::new();
        for c in self.folded().chars() {
            match c {
                '*' => sql.push('%'),
                '_' | '%' | '\\' => sql.extend(['\\', c]),
                c => sql.push(c),
            }
        }
        sql
    }
}

impl FromStr for RepositoryPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // With a letter in place of each star it has to be a repository's name.
        let name: Result<Repository, _> = text.replace('*', "x").parse();
        if text == "*" || (name.is_ok() && !text.contains("**")) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAPattern)
    }
}

as_text!(RepositoryPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_with_stars() {
        for text in ["*", "acme/*", "acme/widget", "*/widget", "acme/wid*", "ac*e/w.i_d-*"] {
            assert_eq!(text.parse::<RepositoryPattern>().map(|p| p.to_string()), Ok(text.into()));
        }
        for text in
            ["", "acme", "acme/", "/x", "a/b/c", "**", "acme/**", "a b/c", "acme/%", "a\"/b"]
        {
            assert_eq!(text.parse::<RepositoryPattern>(), Err(NotAPattern), "{text}");
        }
    }

    #[test]
    fn what_sql_takes_for_a_wildcard_is_none() {
        let pattern: RepositoryPattern = "Acme/w_*".parse().unwrap();
        assert_eq!(pattern.as_sql(), "acme/w\\_%");
        assert_eq!("*".parse::<RepositoryPattern>().unwrap().as_sql(), "%/%");
    }
}
