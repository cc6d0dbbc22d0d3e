//! The audit that a reviewer verifies offline, without a server and without trust in one.
//!
//! - [`checkpoint`]: what is signed of the log: its size and the RFC 6962 root over its leaves, as a C2SP
//!   tlog-checkpoint in a signed note (Ed25519).
//! - [`proof`]: that an event is in a tree, and that one tree goes on from another.
//! - [`tile`]: where the hashes of a tree are found, in C2SP tlog-tiles.
//! - [`export`]: the whole log as one file of lines, each in one canonical form.
//! - [`verify`]: whether such a file holds, and at which position it does not.
//! - [`hold`]: what somebody who saw a log before holds it to.
//! - [`witness`]: what is said to a C2SP witness.
//!
//! Everything here is a pure function or a value: no I/O but reading and writing what is given, no clock.

pub mod checkpoint;
pub mod export;
pub mod hold;
pub mod key;
pub mod proof;
pub mod tile;
pub mod verify;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use key::{SigningKey, VerifyingKey};

/// A hash of the tree: a leaf's, an inner node's or a root.
pub type Hash = domain::leaf::LeafHash;
