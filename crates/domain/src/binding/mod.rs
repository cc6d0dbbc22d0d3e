//! A binding: one role of one subject in one scope. Sharing a session is one; what a binding allows is
//! decided elsewhere.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
#[cfg(test)]
mod tests;

pub use self::{
    command::{Command, id_of},
    decide::decide,
    event::{Event, Grant, Revoked},
    rejection::Rejection,
    state::{State, evolve, fold},
};
