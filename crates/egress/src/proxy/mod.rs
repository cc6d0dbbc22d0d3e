//! The proxy: tunnels and plain HTTP to hosts on the allow-list.

mod address;
mod admission;
mod authority;
mod client_hello;
mod connect;
mod forward;
mod network;
mod rule;

pub use network::{Network, SystemNetwork};
pub use rule::{HostRule, NotARule};

pub(crate) use connect::connect;
pub(crate) use forward::http;
pub(crate) use network::system;
