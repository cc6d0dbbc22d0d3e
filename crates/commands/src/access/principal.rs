use std::{collections::BTreeSet, sync::Arc};

use domain::{
    access::{Role, Subject},
    ids::{SessionId, UserId},
};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A person.
    User(UserId),
    /// Whoever applies objects to the cluster under a name, by the id of that name.
    Kubernetes(UserId),
}

/// Who asks, with all that a decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Who.
    pub who: Who,
    /// Their groups. Where the provider did not say, there are none: nothing that is bound to a group holds.
    pub groups: BTreeSet<String>,
    /// What the provider calls them.
    pub name: Option<Arc<str>>,
    /// The most that they may do by this credential, whatever they may do by another.
    pub ceiling: Option<Role>,
    /// The one session that this credential is good for.
    pub only: Option<SessionId>,
}

impl Principal {
    /// Somebody of whom nothing more is known.
    #[must_use]
    pub const fn of(who: Who) -> Self {
        Self { who, groups: BTreeSet::new(), name: None, ceiling: None, only: None }
    }

    /// What bindings may call them.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let own = match self.who {
            Who::User(id) => Subject::User(id),
            Who::Kubernetes(id) => Subject::Kubernetes(id),
        };
        let groups = match self.who {
            Who::User(_) => Some(&self.groups),
            // Groups are the identity provider's: the cluster's are others.
            Who::Kubernetes(_) => None,
        };
        let groups = groups.into_iter().flatten().cloned().map(Subject::Group);
        std::iter::once(own).chain(groups)
    }

    /// Their own id.
    #[must_use]
    pub const fn id(&self) -> UserId {
        match self.who {
            Who::User(id) | Who::Kubernetes(id) => id,
        }
    }
}
