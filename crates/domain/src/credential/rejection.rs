/// Why a credential refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is none of that id.
    #[error("there is no such credential")]
    NotFound,
    /// The id is taken.
    #[error("the credential exists already")]
    Exists,
    /// It was revoked, for good.
    #[error("the credential was revoked; register another one")]
    Revoked,
}

impl Rejection {
    /// The stable name used in problem types and in `command.refused`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "credential-not-found",
            Self::Exists => "credential-exists",
            Self::Revoked => "credential-revoked",
        }
    }
}
