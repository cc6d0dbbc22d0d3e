//! The adapter port on one machine: each run is a process tree under bubblewrap, with a network of its own
//! whose only way out is the gateway's Unix socket, and a sidecar outside.
//!
//! Neither depends on the life of this process: each is a session of its own, recorded with pid and start
//! time, and taken over by the next start.

mod act;
mod adapter;
mod config;
mod files;
mod launch;
pub mod limits;
mod memory;
mod plan;
mod port;
mod preflight;
pub mod processes;
pub mod sandbox;
mod shutdown;
mod uids;
mod watch;
mod workload;

pub use adapter::{run, run_with};
pub use commands::Report;
pub use config::Config;
pub use port::Port;
pub use preflight::{Problem, check, preflight};
pub use shutdown::{RecordedWorkload, recorded, shutdown_all};
