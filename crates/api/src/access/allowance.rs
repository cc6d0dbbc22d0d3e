use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use commands::access::{Authority, Because, Binding, Decision, Holder, Principal, Who};
use domain::{
    access::{Action, Resource, Role, Scope, Sight, Subject},
    actor::Ceiling,
    ids::SessionId,
};

use super::Caller;
use crate::{
    problem::{Answer, Missing, Problem},
    state::AppState,
};

/// How many of those who could help are named.
const NAMED: usize = 5;

/// What somebody may do, by all that is known of them.
#[derive(Clone)]
pub(crate) struct Allowance {
    authority: Authority,
    who: Principal,
}

impl Caller {
    /// How they are known to decisions.
    pub(crate) fn principal(&self) -> Principal {
        let ceiling = self.scope.ceiling.map(|ceiling| match ceiling {
            Ceiling::Viewer => Role::Viewer,
            Ceiling::Maintainer => Role::Maintainer,
        });
        Principal {
            who: Who::User(self.user),
            // What is not known is not had.
            groups: self.groups.iter().flat_map(|groups| groups.iter()).cloned().collect(),
            name: self.subject.clone(),
            ceiling,
            only: self.scope.session,
        }
    }
}

impl Allowance {
    /// What a caller may do.
    pub(crate) fn of(state: &AppState, caller: &Caller) -> Self {
        Self::by(state, caller.principal())
    }

    /// What somebody may do who was authenticated elsewhere.
    pub(crate) fn by(state: &AppState, who: Principal) -> Self {
        Self { authority: state.authority.clone(), who }
    }

    /// Who it is of.
    pub(crate) fn who(&self) -> &Principal {
        &self.who
    }

    /// Whether they may.
    pub(crate) fn may(&self, action: Action, resource: &Resource) -> bool {
        self.authority.may(&self.who, action, resource)
    }

    /// Refuses where they may not.
    pub(crate) fn demand(&self, action: Action, resource: &Resource) -> Answer<()> {
        if self.may(action, resource) { Ok(()) } else { Err(self.forbidden(action, resource)) }
    }

    /// Whether the configuration makes them an admin.
    pub(crate) fn is_admin_by_configuration(&self) -> bool {
        let decision = self.authority.decide(&self.who, Action::GrantRole, &Resource::Installation);
        let Decision::Allowed(because) = decision else { return false };
        because.iter().any(|why| matches!(why, Because::Configuration(_)))
    }

    /// Which sessions they see.
    pub(crate) fn sight(&self) -> Sight {
        self.authority.sight(&self.who)
    }

    /// What changes with what they may do.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        let mut bindings = self.authority.bindings_of(&self.who);
        bindings.sort_by_key(|binding| binding.id);
        bindings
    }

    /// What they are to something.
    pub(crate) fn role_on(&self, resource: &Resource) -> Option<Role> {
        self.authority.role_on(&self.who, resource)
    }

    /// What they are to sessions.
    pub(crate) async fn roles(
        &self,
        sessions: impl IntoIterator<Item = SessionId>,
    ) -> Answer<HashMap<SessionId, Role>> {
        let sessions: BTreeSet<SessionId> = sessions.into_iter().collect();
        let mut roles = HashMap::new();
        for id in sessions {
            let resource = self.authority.session(id).await?;
            if let Some(role) = resource.and_then(|resource| self.role_on(&resource)) {
                roles.insert(id, role);
            }
        }
        Ok(roles)
    }

    /// Why not, what would be needed, and who could give it.
    pub(crate) fn forbidden(&self, action: Action, resource: &Resource) -> Problem {
        let (role, scope, narrowed) = match self.authority.decide(&self.who, action, resource) {
            Decision::Denied { role, scope, narrowed } => (role, scope, narrowed),
            // They were given it just now: asking again will do.
            Decision::Allowed(_) => (Role::Viewer, resource.scope(), false),
        };
        let has = self.role_on(resource);
        let ask = self.who_could_give(role, resource);
        let missing = Missing {
            action: action.as_str().to_owned(),
            role: role.as_str().to_owned(),
            scope: scope.to_string(),
            has: has.map(|role| role.as_str().to_owned()),
            ask: ask.clone(),
        };
        let place = match resource {
            Resource::Repository(repo) => format!("the repository {repo}"),
            Resource::Installation => "the installation".to_owned(),
            Resource::Session { .. } => "this session".to_owned(),
            Resource::Credential { .. } => "this credential".to_owned(),
        };
        let detail = if narrowed {
            format!("this token is narrowed, and {action} is beyond it; use another, or the page")
        } else {
            let has = has.map_or_else(|| "none".to_owned(), |role| role.to_string());
            let ask = match &ask[..] {
                [] => "an admin of the installation".to_owned(),
                ask => ask.join(", "),
            };
            format!("{action} takes the role {role} on {place}; you have {has}. Ask {ask}")
        };
        let title = "You may not do that";
        Problem::new(StatusCode::FORBIDDEN, "forbidden", title).detail(detail).missing(missing)
    }

    /// Those who can give a role on something, by the names that bindings have for them.
    fn who_could_give(&self, role: Role, resource: &Resource) -> Vec<String> {
        let give = match resource {
            Resource::Session { .. } if role < Role::Admin => Some(Action::ShareSession),
            Resource::Credential { .. } => Some(Action::ShareCredential),
            _ => None,
        };
        let holders = match give {
            Some(give) => self.authority.who_may(give, resource),
            None => self.authority.who_may(Action::GrantRole, &Resource::Installation),
        };
        let mut names: Vec<String> = vec![];
        for Holder { subject, because } in holders {
            let name = match (subject, because) {
                (Some(subject), _) => subject_name(&subject),
                (None, Because::Configuration(words)) => words,
                (None, _) => continue,
            };
            if !names.contains(&name) && names.len() < NAMED {
                names.push(name);
            }
        }
        names
    }
}

/// A subject as the API and the command line write it.
pub(crate) fn subject_name(subject: &Subject) -> String {
    match subject {
        Subject::User(id) => format!("user:{id}"),
        Subject::Group(name) => format!("group:{name}"),
        Subject::Kubernetes(id) => format!("kubernetes-id:{id}"),
    }
}

/// What a scope is to a decision; none where there is no such thing.
pub(crate) async fn resource_of(state: &AppState, scope: Scope) -> Answer<Option<Resource>> {
    Ok(match scope {
        Scope::Global => Some(Resource::Installation),
        Scope::Session(id) => state.authority.session(id).await?,
        Scope::Credential(id) => state.authority.credential(id).await?,
    })
}
