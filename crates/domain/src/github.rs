//! Names on a forge: repositories and branches, checked before they go anywhere near a URL or git.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::as_text::as_text;

/// A repository as `owner/name`. Owner: letters, digits and inner hyphens, at most 39. Name:
/// letters, digits, `.`, `_`, `-`, at most 100, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Repository(String);

/// Why a text does not name a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a repository is owner/name, such as octo-org/hello-world")]
pub struct NotARepository;

impl Repository {
    /// `owner/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for Repository {
    type Err = NotARepository;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (owner, name) = text.split_once('/').ok_or(NotARepository)?;
        let owner_ok = (1..=39).contains(&owner.len())
            && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !owner.starts_with('-')
            && !owner.ends_with('-');
        let name_ok = (1..=100).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && name != "."
            && name != ".."
            && !name.to_ascii_lowercase().ends_with(".git");
        if owner_ok && name_ok { Ok(Self(text.to_owned())) } else { Err(NotARepository) }
    }
}

as_text!(Repository);

/// A branch's name without `refs/heads/`, by the rules of git-check-ref-format(1), at most 200 bytes
/// of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Branch(String);

/// Why a text does not name a branch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a branch name that git accepts (git-check-ref-format), or longer than 200 bytes")]
pub struct NotABranch;

impl Branch {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Branch {
    type Err = NotABranch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts_ok = text.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.ends_with('.')
                && !part.to_ascii_lowercase().ends_with(".lock")
        });
        let ok = parts_ok
            && text.len() <= 200
            && !text.starts_with('-')
            && text != "@"
            && !text.contains("..")
            && !text.contains("@{")
            && text.bytes().all(|b| b.is_ascii_graphic() && !b"~^:?*[\\".contains(&b));
        if ok { Ok(Self(text.to_owned())) } else { Err(NotABranch) }
    }
}

as_text!(Branch);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_owner_slash_name_and_nothing_else() {
        for good in ["a/b", "octo-org/hello.world_1-x"] {
            assert!(good.parse::<Repository>().is_ok(), "{good}");
        }
        for bad in [
            "", "a", "a/", "/b", "a/b/c", "-a/b", "a-/b", "a/..", "a/b.git", "a/b c", "ä/b",
            "a/b\n",
        ] {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
    }

    #[test]
    fn branches_follow_git_check_ref_format() {
        for good in ["main", "paddock/fix-1", "a.b/c"] {
            assert!(good.parse::<Branch>().is_ok(), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a/.b", "a.lock", "x.lock/y", "a b", "a~b", "@", "a@{b", "/a", "a/",
            "a//b", "a.",
        ] {
            assert!(bad.parse::<Branch>().is_err(), "{bad}");
        }
    }
}
