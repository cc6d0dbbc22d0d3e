//! The adapter port on one machine: each run is a process tree under bubblewrap, with a network of its own
//! whose only way out is the gateway's Unix socket, and a sidecar outside.
//!
//! Neither depends on the life of this process: each is a session of its own, recorded with pid and start
//! time, and taken over by the next start.

mod adapter;
mod limits;
mod plan;
mod preflight;
pub mod processes;
pub mod sandbox;
mod shutdown;
mod workload;

pub use adapter::{Config, run};
pub use preflight::preflight;
pub use shutdown::shutdown_all;
