//! What people decide for the whole installation while it runs: how many runs at once, which hosts they may
//! reach, what a harness profile gives, how long things are kept. There is one such stream.
//!
//! Configuration says what holds until somebody changes it here; a section that was never changed is absent
//! from the state.

mod command;
mod decide;
mod event;
mod hosts;
mod limits;
mod profile;
mod rejection;
mod retention;
mod state;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use decide::decide;
pub use event::Event;
pub use hosts::{MAX_HOSTS, checked_hosts, host_rule};
pub use limits::Limits;
pub use profile::{DEFAULT_PROFILE, MAX_VARIABLES, Profile, checked_name};
pub use rejection::{Fault, Rejection};
pub use retention::Retention;
pub use state::{State, evolve, fold};
