//! Paddock on Kubernetes: its objects, and who may ask for them.

pub mod admission;
pub mod crds;
mod manifest;

pub use manifest::manifest;
