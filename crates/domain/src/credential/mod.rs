//! A credential for the forge: who owns it, which generation of its value counts, what the forge said of it.
//!
//! Its value is nowhere here. An event names the place of a value in the secret store by an id drawn at random, so
//! that two who rotate at once cannot write over each other; whoever loses the race leaves a value that nothing names.

mod command;
mod decide;
mod event;
mod kind;
mod rejection;
mod state;
#[cfg(test)]
mod tests;

pub use self::{
    command::Command,
    decide::decide,
    event::{Checked, Event, Outcome, Reason, Registered},
    kind::{CredentialName, Kind, NotACredential, NotAName, pat_kind},
    rejection::Rejection,
    state::{Credential, State, evolve, fold},
};
