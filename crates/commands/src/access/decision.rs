use domain::{
    access::{Role, Scope, Subject},
    ids::BindingId,
};

/// Why something is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// A binding says so.
    Binding(BindingId),
    /// It is theirs.
    Owner,
    /// The installation's configuration says so, by these words.
    Configuration(String),
    /// Everybody may who is somebody.
    Anybody,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, and why.
    Allowed(Vec<Because>),
    /// No: by this role in this scope, or a wider one, it would be.
    Denied {
        /// The role.
        role: Role,
        /// Where.
        scope: Scope,
        /// Whether they may by another credential of theirs: this one is narrowed.
        narrowed: bool,
    },
}

impl Decision {
    /// Whether they may.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Somebody who may do something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who; nobody in particular where it is whoever the configuration names.
    pub subject: Option<Subject>,
    /// Why.
    pub because: Because,
}
