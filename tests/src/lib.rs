//! The demo's forge and scripted model. Used by `paddock up --demo` and by tests alike, and in none of the
//! product's serving roles.

// `json!` of a whole repository is deep.
#![recursion_limit = "256"]

pub mod announce;
pub mod forge;
pub mod github_schema;
pub mod model;
pub mod serving;
