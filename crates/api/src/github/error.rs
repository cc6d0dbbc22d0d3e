use chrono::{DateTime, Utc};

/// Why GitHub did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// It is not there, or the credential may not see it: GitHub does not tell which.
    #[error("not found, or the credential may not see it")]
    NotFound,
    /// The credential is missing, wrong or expired.
    #[error("the credential is missing, wrong or expired")]
    Unauthorised,
    /// The credential may not do this. In GitHub's words.
    #[error("the credential may not do this: {message}")]
    Forbidden {
        /// GitHub's words.
        message: String,
    },
    /// Too many requests.
    #[error("GitHub's rate limit is used up until {until}")]
    RateLimited {
        /// When to ask again.
        until: DateTime<Utc>,
    },
    /// GitHub cannot be reached, did not answer in time, or failed.
    #[error("GitHub cannot be reached: {detail}")]
    Unavailable {
        /// What was seen.
        detail: String,
    },
    /// GitHub refuses the request. In its words.
    #[error("GitHub refuses it: {message}")]
    Rejected {
        /// GitHub's words.
        message: String,
        /// What it says of single fields.
        errors: Vec<String>,
    },
    /// It was not asked, because there is no credential to ask with.
    #[error("{reason}")]
    Withheld {
        /// Why, in words.
        reason: String,
    },
    /// The answer is not one that GitHub gives.
    #[error("the answer cannot be read: {detail}")]
    Unreadable {
        /// What does not fit.
        detail: String,
    },
}

impl GitHubError {
    /// All that is known of it, for people: with what GitHub says of single fields.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Rejected { errors, .. } if !errors.is_empty() => {
                format!("{self} ({})", errors.join("; "))
            }
            _ => self.to_string(),
        }
    }
}
