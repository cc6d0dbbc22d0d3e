//! The trusted process beside each agent's sandbox: holds the run's identity and the one outbound link,
//! drives OpenCode through the harness, and decides when to publish and to snapshot. It never opens the
//! workspace: everything there is hostile, the harness's answers too.
//!
//! What it must not lose is in its spool: it may be killed at any moment and started again.

pub mod opencode;

mod connection;
mod error;
mod fence;
mod follow;
mod growing;
mod harness_client;
mod job;
mod journal;
mod publish;
mod snapshot;
mod spool;
mod turn;
mod work;

pub use error::SidecarError;
pub use work::{Config, Pod, run};
