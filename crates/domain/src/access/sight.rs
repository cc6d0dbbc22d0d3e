use crate::{
    access::{RepositoryPattern, Role, Scope},
    binding::Grant,
    ids::{SessionId, UserId},
};

/// Which sessions a person sees: what lists are filtered by. The same as asking of each session whether they may
/// read it, which a test compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Those that they made.
    pub owner: UserId,
    /// All of them.
    pub everything: bool,
    /// These.
    pub sessions: Vec<SessionId>,
    /// Those on repositories like these, as patterns of SQL's `like`.
    pub repositories: Vec<String>,
}

impl Sight {
    /// What somebody sees who was granted this.
    pub fn of<'a>(owner: UserId, granted: impl IntoIterator<Item = &'a Grant>) -> Self {
        let mut sight = Self { owner, everything: false, sessions: vec![], repositories: vec![] };
        for grant in granted {
            match (grant.scope, grant.role) {
                (Scope::Global, Role::Admin | Role::Viewer) => sight.everything = true,
                (Scope::Global, Role::Maintainer) => {
                    let patterns = grant.repositories.iter().map(RepositoryPattern::as_sql);
                    sight.repositories.extend(patterns);
                }
                (Scope::Session(session), _) => sight.sessions.push(session),
                (Scope::Credential(_), _) => {}
            }
        }
        sight.sessions.sort_unstable();
        sight.sessions.dedup();
        sight.repositories.sort_unstable();
        sight.repositories.dedup();
        sight
    }

    /// All of them: what the control plane's own parts see.
    #[must_use]
    pub const fn everything(owner: UserId) -> Self {
        Self { owner, everything: true, sessions: vec![], repositories: vec![] }
    }
}
