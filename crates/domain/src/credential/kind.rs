use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::as_text::as_text;

/// What kind of credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A fine-grained personal access token.
    Pat,
    /// A classic one: it is good for every repository of its owner.
    ClassicPat,
    /// A GitHub App: its private key makes tokens for one repository each.
    App {
        /// The app's number.
        app: u64,
    },
}

impl Kind {
    /// The permanent name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pat => "pat",
            Self::ClassicPat => "classic_pat",
            Self::App { .. } => "app",
        }
    }
}

/// Why a text is no token that can be registered. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACredential {
    /// It has another form.
    #[error("is no personal access token: those of GitHub begin with github_pat_")]
    Form,
    /// It is a classic token, which this installation does not take.
    #[error(
        "is a classic token, good for every repository of its owner; make a fine-grained one \
         (github_pat_…) for the repositories that runs work on, or let an administrator set \
         PADDOCK_CLASSIC_TOKENS=true"
    )]
    Classic,
    /// It is a token of another kind, made for somebody else's use and short-lived.
    #[error("is a token of an app or a sign-in; make a fine-grained personal access token instead")]
    Derived,
}

/// The shortest of what can follow a token's prefix.
const SHORTEST: usize = 16;
/// The longest token.
const LONGEST: usize = 255;

/// What kind of personal access token a text is. Decided by its form alone: whether it is good, the forge knows.
pub fn pat_kind(token: &str, classic: bool) -> Result<Kind, NotACredential> {
    let plain = |rest: &str| {
        rest.len() >= SHORTEST
            && token.len() <= LONGEST
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if let Some(rest) = token.strip_prefix("github_pat_") {
        return if plain(rest) { Ok(Kind::Pat) } else { Err(NotACredential::Form) };
    }
    if let Some(rest) = token.strip_prefix("ghp_") {
        return match (plain(rest), classic) {
            (false, _) => Err(NotACredential::Form),
            (true, false) => Err(NotACredential::Classic),
            (true, true) => Ok(Kind::ClassicPat),
        };
    }
    if ["gho_", "ghu_", "ghs_", "ghr_"].iter().any(|prefix| token.starts_with(prefix)) {
        return Err(NotACredential::Derived);
    }
    Err(NotACredential::Form)
}

/// What a credential is called: a word, not a text about somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct CredentialName(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "has 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
)]
pub struct NotAName;

impl CredentialName {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CredentialName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let goes_on =
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        // A token pasted into the wrong field would be kept for ever.
        let is_token = text.starts_with("github_pat_") || text.starts_with("ghp_");
        if begins && goes_on && text.len() <= 64 && !is_token {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAName)
    }
}

as_text!(CredentialName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_by_its_form_and_a_classic_one_is_refused_unless_it_may_be() {
        let rest = "a".repeat(40);
        assert_eq!(pat_kind(&format!("github_pat_11AB_{rest}"), false), Ok(Kind::Pat));
        assert_eq!(pat_kind(&format!("ghp_{rest}"), false), Err(NotACredential::Classic));
        assert_eq!(pat_kind(&format!("ghp_{rest}"), true), Ok(Kind::ClassicPat));
        assert_eq!(pat_kind(&format!("ghs_{rest}"), true), Err(NotACredential::Derived));
        for text in ["", "github_pat_", "github_pat_short", "ghp_x", "password"] {
            assert_eq!(pat_kind(text, true), Err(NotACredential::Form), "{text}");
        }
        let split = format!("github_pat_{rest}\nX: y");
        assert_eq!(pat_kind(&split, true), Err(NotACredential::Form), "one line, no more");
    }

    #[test]
    fn a_name_is_a_word_and_never_a_token() {
        for text in ["work", "acme-bot.2", "A_b"] {
            assert_eq!(
                text.parse::<CredentialName>().map(|name| name.to_string()),
                Ok(text.into())
            );
        }
        for text in ["", "-x", "two words", "ä", "github_pat_11ABCDEFG", "a/b"] {
            assert_eq!(text.parse::<CredentialName>(), Err(NotAName), "{text}");
        }
    }
}
