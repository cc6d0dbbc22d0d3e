//! The server's side of the link: one outbound WebSocket of each run's sidecar, and the bundles that
//! travel beside it. Served on a listener of its own, with nothing else on it.
//!
//! Numbered frames are stored with the run's high-water mark in one transaction and acknowledged after
//! it. Who may store is decided in that transaction by the link's epoch in the database, so a rival
//! connection, on whichever replica, finds out at its next store.

mod alive;
mod bounds;
mod connection;
mod facts;
mod identity;
mod instructions;
mod job;
mod kept;
mod registry;
mod router;
mod silence;
mod store;

pub use identity::{Identified, Identities, Issued, Unidentified};
pub use instructions::{Pending, Told, instructions};
pub use job::{Author, JobSettings};
pub(crate) use kept::changes_edition;
pub use kept::{ended_before, forget, kept_changes, of_deleted_sessions, pushed_subject};
pub use registry::{AskError, Links};
pub use router::{LinkState, router};
pub use silence::{Silent, settle, silent};
