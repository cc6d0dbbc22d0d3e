/// Why a binding refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing like it was ever granted.
    #[error("there is no such binding")]
    NotFound,
    /// The subject has that role in that scope.
    #[error("the role is granted already; to change its repositories, revoke it first")]
    Exists,
    /// A maintainer of the installation has to be one of something.
    #[error("a maintainer of the installation needs repositories: owner/name, owner/* or *")]
    RepositoriesMissing,
    /// Only a maintainer of the installation is limited to repositories.
    #[error("repositories go with the role maintainer in the scope global only")]
    RepositoriesUnexpected,
    /// Somebody has to be able to give roles.
    #[error("nobody else would be an admin; make another one first, or name one by configuration")]
    LastAdmin,
}

impl Rejection {
    /// The stable name used in problem types and in `command.refused`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "binding-not-found",
            Self::Exists => "binding-exists",
            Self::RepositoriesMissing => "binding-repositories-missing",
            Self::RepositoriesUnexpected => "binding-repositories-unexpected",
            Self::LastAdmin => "binding-last-admin",
        }
    }
}
