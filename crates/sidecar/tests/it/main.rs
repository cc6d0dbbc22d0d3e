//! The sidecar's OpenCode client against the real, pinned server.

mod contract;
mod server;
mod session;
