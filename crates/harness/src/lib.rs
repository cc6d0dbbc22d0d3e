//! The agent's side of a workload: PID 1 in the sandbox, with the agent's uid and no secret. It starts
//! OpenCode, and runs every git, tar and SQLite step on the workspace, because a repository's own
//! configuration runs code.
//!
//! The sidecar asks for steps over HTTP on a Unix socket ([`wire`]). All that is answered is hostile to
//! the sidecar: the agent has the same uid and may stand in for this program.

pub mod wire;

mod agent;
mod bundle;
mod config;
mod failure;
mod forward;
mod git;
mod init;
mod probe;
mod processes;
mod server;

pub use config::{Config, variable};
pub use init::{is_server, run_as_init};
pub use probe::probe;
pub use server::serve;
