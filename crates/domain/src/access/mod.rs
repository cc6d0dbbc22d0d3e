//! The words of who may do what: roles, where they hold, who has them, and the things that can be done.
//!
//! Nothing is decided here. What a role includes is said once, by [`Action::needs`]; who has it, by bindings.

mod action;
mod pattern;
mod resource;
mod role;
mod sight;
mod subject;

pub use self::{
    action::{Action, On},
    pattern::{NotAPattern, RepositoryPattern},
    resource::Resource,
    role::{NotAScope, Role, Scope},
    sight::Sight,
    subject::Subject,
};
