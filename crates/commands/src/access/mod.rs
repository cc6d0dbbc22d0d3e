//! Who may do what: the one place where it is decided.
//!
//! Bindings, ownership and configuration become Cedar policies; what none of them permits is denied. The
//! bindings are read from the log itself, not from a read model, so that a role that is taken counts from its
//! commit: at once where it was taken, and within a second elsewhere.

mod authority;
mod bind;
mod bindings;
mod decision;
mod origin;
mod policy;
mod principal;

pub use self::{
    authority::Authority,
    bindings::Binding,
    decision::{Because, Decision, Holder},
    policy::Configured,
    principal::{Principal, Who},
};
