use domain::access::{Action, On, RepositoryPattern, Resource};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Allowance;

/// A role of one's own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OwnRole {
    /// admin, maintainer or viewer.
    role: String,
    /// global, session:<id> or credential:<id>.
    scope: String,
    repositories: Vec<String>,
    /// The binding; null where it is by configuration.
    binding: Option<Uuid>,
}

/// The roles that somebody has, by bindings and by configuration.
pub(crate) fn own_roles(of: &Allowance) -> Vec<OwnRole> {
    let mut roles: Vec<OwnRole> = of
        .bindings()
        .into_iter()
        .map(|binding| OwnRole {
            role: binding.grant.role.as_str().to_owned(),
            scope: binding.grant.scope.to_string(),
            repositories: binding
                .grant
                .repositories
                .iter()
                .map(RepositoryPattern::to_string)
                .collect(),
            binding: Some(binding.id.0),
        })
        .collect();
    if of.is_admin_by_configuration() {
        let (role, scope) = ("admin".to_owned(), "global".to_owned());
        roles.push(OwnRole { role, scope, repositories: vec![], binding: None });
    }
    roles
}

/// What somebody may do to the installation itself; `session.create` where there may be a repository for it.
pub(crate) fn own_actions(of: &Allowance) -> Vec<String> {
    let installation = Resource::Installation;
    let own = Action::ALL.iter().filter(|action| action.on() == On::Installation);
    let mut allowed: Vec<String> = own
        .filter(|action| of.may(**action, &installation))
        .map(|action| action.as_str().to_owned())
        .collect();
    if of.may(Action::RegisterCredential, &installation) {
        allowed.push(Action::CreateSession.as_str().to_owned());
    }
    allowed
}
