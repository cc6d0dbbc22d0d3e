//! Read models: what the log says, in the shape in which it is asked for.
//!
//! A batch of the log, its effect on every table and the checkpoint commit in one transaction. Nothing here
//! is truth: every table can be dropped and built anew ([`rebuild`]). The tables belong to the serving role
//! and are made by [`prepare`], not by a migration, so that a rebuild can replace them.

mod error;
mod health;
mod log_reader;
pub mod model;
mod projector;
pub mod query;
mod rebuild;
mod tables;

pub use error::ViewError;
pub use health::{Health, Lag};
pub use projector::run;
pub use query::{
    AuditFilter, AuditRow, AuditStory, Blast, BlastRow, Counts, Cursor, Due, NotACursor, OpenPull,
    Page, QueuedRun, RunFilter, SessionFilter, Views, seen,
};
pub use rebuild::{Differences, Rebuilt, prepare, rebuild};
