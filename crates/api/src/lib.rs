//! The HTTP side of Paddock: the public API, and the listeners of sidecars and gateways.

pub mod access;
pub mod audit;
pub mod bundles;
pub mod gateway;
pub mod github;
pub mod health;
pub mod link;
pub mod objects;
pub mod output;
pub mod profiles;
pub mod pulls;
pub mod settings;
pub mod system;

mod answer;
mod events;
mod names;
mod openapi;
mod page;
mod problem;
mod repositories;
mod request;
mod roles;
mod router;
mod runs;
mod schemas;
mod sessions;
mod state;

pub use openapi::openapi;
pub use router::router;
pub use state::{AppState, Settings};
