//! A session: one line of work on one repository, with one working branch, one pull request and at
//! most one active run.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use decide::decide;
pub use event::{BundleInfo, Created, Event, PullState};
pub use rejection::Rejection;
pub use state::{Session, Standing, State, evolve, fold};
