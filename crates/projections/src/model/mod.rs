//! The rows of the read models, and what each event does to them: pure.

mod actions;
mod asks;
mod binding;
mod delta;
mod group;
mod happened;
mod run;
mod session;
mod summary;
mod words;

pub use actions::{RunAction, SessionAction};
pub use binding::BindingRow;
pub(crate) use delta::Delta;
pub use group::Group;
pub use run::{
    CredentialUse, Input, Publishing, PullRequest, RunRow, RunState, TimelineRow, Workload,
};
pub use session::{BundleRow, SessionPull, SessionRow};
pub use words::reason;

#[cfg(test)]
mod tests;
