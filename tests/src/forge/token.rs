use std::{
    fmt,
    str::FromStr,
    sync::{MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use chrono::{DateTime, Utc};

use super::{Forge, state::Repository};

/// What a token may do to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Look at it.
    Read,
    /// Push to it and open pull requests too.
    Write,
}

/// A token, as text `SECRET [read|write] [expires=TIME] [OWNER/NAME …]`, the parts separated by blanks or commas.
/// Without more it may write, to every repository, for ever.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    rights: Rights,
    /// All of them, where there are none.
    repositories: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    /// It was ended: it is one that is known, and good for nothing.
    ended: bool,
}

/// What is wrong with a token's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// There is no secret.
    Empty,
    /// A part is neither `read` nor `write` nor `expires=TIME` nor `OWNER/NAME`.
    Unknown,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a token is empty",
            // Without the part: it may be a secret.
            Self::Unknown => "a token's part is neither read nor write nor expires=TIME nor a repository OWNER/NAME",
        })
    }
}

impl std::error::Error for TokenError {}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split([' ', '\t', ',']).filter(|part| !part.is_empty());
        let secret = parts.next().ok_or(TokenError::Empty)?.to_owned();
        let mut token = Self {
            secret,
            rights: Rights::Write,
            repositories: vec![],
            expires_at: None,
            ended: false,
        };
        for part in parts {
            match part {
                "read" => token.rights = Rights::Read,
                "write" => token.rights = Rights::Write,
                _ if part.starts_with("expires=") => {
                    let time = part.trim_start_matches("expires=").parse();
                    token.expires_at = Some(time.map_err(|_| TokenError::Unknown)?);
                }
                _ if part.contains('/') => token.repositories.push(part.to_lowercase()),
                _ => return Err(TokenError::Unknown),
            }
        }
        Ok(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("rights", &self.rights)
            .field("repositories", &self.repositories)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// The tokens in a file: one a line; empty lines and those that begin with `#` are skipped.
    pub fn all_in(text: &str) -> Result<Vec<Self>, TokenError> {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::parse).collect()
    }

    /// One that an app's key made: of one repository, for an hour.
    pub(super) fn minted(secret: &str, repo: &str, expires_at: DateTime<Utc>) -> Self {
        Self {
            secret: secret.to_owned(),
            rights: Rights::Write,
            repositories: vec![repo.to_lowercase()],
            expires_at: Some(expires_at),
            ended: false,
        }
    }

    /// When it expires, as GitHub says it.
    pub(super) fn expiry(&self) -> Option<String> {
        self.expires_at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    }

    fn is_good(&self) -> bool {
        !self.ended && self.expires_at.is_none_or(|at| at > Utc::now())
    }

    fn rights_to(&self, repo: &Repository) -> Option<Rights> {
        let all = self.repositories.is_empty();
        let in_scope = all || self.repositories.contains(&repo.full_name().to_lowercase());
        in_scope.then_some(self.rights).or_else(|| (!repo.private).then_some(Rights::Read))
    }

    fn may_everything(&self) -> bool {
        self.repositories.is_empty() && self.rights == Rights::Write
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Nobody says.
    Anonymous,
    /// Whoever it is, the credential is not one that is known.
    Wrong,
    /// The bearer of a token, by its place among those that the forge was given, from 1.
    Known(usize, Token),
}

impl Caller {
    /// Whose request it is; a token comes as git or as a REST client sends it.
    pub(super) fn of(forge: &Forge, headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Self::Anonymous };
        let tokens = forge.tokens();
        let known = value.to_str().ok().and_then(secret_in).and_then(|secret| {
            tokens.iter().enumerate().find(|(_, token)| token.secret == secret && token.is_good())
        });
        known.map_or(Self::Wrong, |(at, token)| Self::Known(at + 1, token.clone()))
    }

    /// The text that a caller's header holds.
    pub(super) fn word(headers: &HeaderMap) -> Option<String> {
        headers.get(header::AUTHORIZATION)?.to_str().ok().and_then(secret_in)
    }

    /// What they may do to a repository; nothing where it is hidden from them.
    pub(super) fn rights_to(&self, repo: &Repository) -> Option<Rights> {
        match self {
            Self::Anonymous => (!repo.private).then_some(Rights::Read),
            Self::Wrong => None,
            Self::Known(_, token) => token.rights_to(repo),
        }
    }

    /// Whether they may disturb the forge, as a test does.
    pub(super) fn may_test(&self) -> bool {
        matches!(self, Self::Known(_, token) if token.may_everything())
    }
}

impl Forge {
    /// The tokens, those that were ended too: each keeps its number.
    pub(super) fn tokens(&self) -> MutexGuard<'_, Vec<Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token from now on, in the place of one with the same secret.
    pub(super) fn take_token(&self, token: Token) {
        let mut tokens = self.tokens();
        match tokens.iter_mut().find(|known| known.secret == token.secret) {
            Some(known) => *known = token,
            None => tokens.push(token),
        }
    }

    /// Ends a token; whether there was one.
    pub(super) fn end_token(&self, secret: &str) -> bool {
        let mut tokens = self.tokens();
        let found = tokens.iter_mut().find(|token| token.secret == secret && !token.ended);
        found.map(|token| token.ended = true).is_some()
    }
}

fn secret_in(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Some(rest.trim().to_owned()),
        "basic" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
            let pair = String::from_utf8(bytes).ok()?;
            Some(pair.split_once(':')?.1.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str, private: bool) -> Repository {
        Repository { private, ..Repository::found("octo", name) }
    }

    #[test]
    fn a_token_without_more_may_write_to_everything() {
        let token: Token = "abc".parse().unwrap();
        assert_eq!(token.rights_to(&repository("x", true)), Some(Rights::Write));
        assert!(token.may_everything());
    }

    #[test]
    fn a_token_of_one_repository_sees_no_other_private_one() {
        let tokens = Token::all_in("# for tests\n\nabc read Octo/X\n").unwrap();
        let [token] = tokens.as_slice() else { panic!("{tokens:?}") };
        assert_eq!(token.rights_to(&repository("x", true)), Some(Rights::Read));
        assert_eq!(token.rights_to(&repository("y", true)), None);
        assert_eq!(token.rights_to(&repository("y", false)), Some(Rights::Read));
        assert!(!token.may_everything());
    }

    #[test]
    fn neither_an_error_nor_a_debug_text_holds_a_secret() {
        let error = "abc sesame".parse::<Token>().unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
        let token: Token = "sesame".parse().unwrap();
        assert!(!format!("{token:?}").contains("sesame"));
    }

    #[test]
    fn a_token_that_has_expired_or_was_ended_is_good_for_nothing() {
        let token: Token = "abc read expires=2099-01-31T09:00:00Z".parse().unwrap();
        assert!(token.is_good());
        assert_eq!(token.expiry().as_deref(), Some("2099-01-31 09:00:00 UTC"));
        let token: Token = "abc expires=2001-01-31T09:00:00Z".parse().unwrap();
        assert!(!token.is_good());
        assert_eq!("abc expires=soon".parse::<Token>(), Err(TokenError::Unknown));
    }

    #[test]
    fn a_token_comes_in_three_forms() {
        for value in ["Bearer abc", "token abc", "basic eC1hY2Nlc3MtdG9rZW46YWJj"] {
            assert_eq!(secret_in(value).as_deref(), Some("abc"), "{value}");
        }
        assert_eq!(secret_in("Digest abc"), None);
        assert_eq!(secret_in("Basic %"), None);
    }
}
