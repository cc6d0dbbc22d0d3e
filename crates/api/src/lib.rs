//! The HTTP side of Paddock: the public API, and the listeners of sidecars and gateways.

pub mod bundles;
pub mod gateway;
pub mod github;
pub mod link;
pub mod output;
