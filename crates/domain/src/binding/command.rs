use uuid::Uuid;

use crate::{
    access::{Role, Scope, Subject},
    binding::Grant,
    ids::BindingId,
};

/// What a binding can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Give the role.
    Grant(Grant),
    /// Take it.
    Revoke {
        /// Whether nobody else would be an admin of the installation.
        last_admin: bool,
    },
}

/// Ids of bindings are names within this one.
const BINDINGS: Uuid = Uuid::from_u128(0x6269_6e64_696e_4767_8573_0070_6164_646b);

/// The one id that a binding of this role, of this subject, in this scope can have: so it is there once.
#[must_use]
pub fn id_of(subject: &Subject, role: Role, scope: Scope) -> BindingId {
    let subject = match subject {
        Subject::User(id) => format!("user:{id}"),
        Subject::Kubernetes(id) => format!("kubernetes:{id}"),
        Subject::Group(name) => format!("group:{name}"),
    };
    // A group's name comes last: whatever is in it, nothing follows.
    BindingId(Uuid::new_v5(&BINDINGS, format!("{role} {scope} {subject}").as_bytes()))
}
