//! Paddock on Kubernetes: its objects, who may ask for them, and the adapter port as pods.

mod adapter;
pub mod admission;
mod config;
pub mod crds;
mod failpoint;
mod lease;
mod manifest;
mod names;
mod network;
mod objects;
mod plan;
mod pod;
mod review;
mod secrets;
mod seen;
mod story;

pub use adapter::{Health, Setup, run};
pub use config::{Allowed, Config, NotAToleration, Peer, Toleration};
pub use failpoint::FAILPOINTS;
pub use manifest::manifest;
pub use network::policies;
pub use objects::{Asked, Refused, Requests};
pub use pod::{AUDIENCE, pod};
pub use review::Reviewer;
pub use secrets::Secrets;
