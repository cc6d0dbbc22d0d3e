use crate::{
    access::{Role, Scope},
    binding::{Command, Event, Grant, Rejection, Revoked, State},
};

/// What a command comes to.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::New | State::Revoked, Command::Grant(grant)) => {
            limited(&grant)?;
            Ok(vec![Event::RoleGranted(grant)])
        }
        (State::Granted(_), Command::Grant(_)) => Err(Rejection::Exists),
        (State::New, Command::Revoke { .. }) => Err(Rejection::NotFound),
        (State::Revoked, Command::Revoke { .. }) => Ok(vec![]),
        (State::Granted(grant), Command::Revoke { last_admin }) => {
            if last_admin && grant.is_global_admin() {
                return Err(Rejection::LastAdmin);
            }
            let Grant { subject, role, scope, .. } = grant.clone();
            Ok(vec![Event::RoleRevoked(Revoked { subject, role, scope })])
        }
    }
}

impl Grant {
    /// Whether it makes an admin of the installation.
    #[must_use]
    pub fn is_global_admin(&self) -> bool {
        self.role == Role::Admin && self.scope == Scope::Global
    }
}

/// Repositories limit a maintainer of the installation, and have to.
fn limited(grant: &Grant) -> Result<(), Rejection> {
    let wanted = grant.role == Role::Maintainer && grant.scope == Scope::Global;
    match (wanted, grant.repositories.is_empty()) {
        (true, true) => Err(Rejection::RepositoriesMissing),
        (false, false) => Err(Rejection::RepositoriesUnexpected),
        (true, false) | (false, true) => Ok(()),
    }
}
