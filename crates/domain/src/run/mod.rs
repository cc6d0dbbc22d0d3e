//! A run: one stretch of an agent's work, from the request to a pull request or the reason there is
//! none.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use decide::decide;
pub use event::{
    Answer, EgressMode, Enforcement, Event, Failure, FinishCause, Harness, InputKind, Outcome,
    Probe, PublishStage, QueueReason, RanImage, Requested, SnapshotCause, Usage, Verdict,
    WorkloadStage,
};
pub use rejection::Rejection;
pub use state::{Ending, Reported, Run, Stage, State, evolve, fold};
