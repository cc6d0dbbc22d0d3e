use crate::{
    access::{On, Scope},
    github::Repository,
    ids::{CredentialId, SessionId, UserId},
};

/// What something is done to, with all that a decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The installation itself.
    Installation,
    /// A repository, before there is a session on it.
    Repository(Repository),
    /// A session, and each of its runs.
    Session {
        /// Which.
        id: SessionId,
        /// Who made it.
        owner: UserId,
        /// The repository that it works on.
        repo: Repository,
    },
    /// A credential.
    Credential {
        /// Which.
        id: CredentialId,
        /// Whose it is; nobody's where it is shared.
        owner: Option<UserId>,
    },
}

impl Resource {
    /// What kind of thing it is.
    #[must_use]
    pub const fn on(&self) -> On {
        match self {
            Self::Installation => On::Installation,
            Self::Repository(_) => On::Repository,
            Self::Session { .. } => On::Session,
            Self::Credential { .. } => On::Credential,
        }
    }

    /// The narrowest scope whose roles hold for it.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Installation | Self::Repository(_) => Scope::Global,
            Self::Session { id, .. } => Scope::Session(*id),
            Self::Credential { id, .. } => Scope::Credential(*id),
        }
    }
}
