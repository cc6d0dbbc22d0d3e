//! The egress gateway: the only way out of an agent's sandbox.
//!
//! One Unix socket a run, and for runs on other machines a tunnel to the same door. Behind it the model and git routes, which add a credential that the sandbox
//! never has, and a proxy for hosts on an allow-list. It trusts nothing that a run says of itself,
//! fails closed, goes on with the last policy while the control plane is away, and keeps a record of
//! every decision until the control plane has it.

mod admin;
mod answer;
mod body;
mod config;
mod connection;
mod control;
mod credential;
mod decision;
mod gateway;
mod git;
mod limits;
mod listener;
mod model;
mod policy;
mod proxy;
mod redact;
mod route;
mod run;
mod tunnel;
mod upstream;

pub use config::{Config, Secret, Upstream};
pub use decision::{Decision, Kind, Verdict};
pub use limits::Limits;
pub use policy::{Mode, Policy, PolicyCredential};
pub use proxy::{HostRule, Network, NotARule, SystemNetwork};
pub use run::{Error, run, run_on};
