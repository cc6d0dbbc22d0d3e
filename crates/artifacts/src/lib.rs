//! The artifact store on a volume that one process mounts, and what reaches it from elsewhere.
//!
//! [`router`] serves a directory: an object is written beside its place, made durable and renamed, so that it is
//! there whole or not at all. [`Remote`] is the same store from the other side of the network, behind the trait of
//! all stores. Whoever sends bytes sends their SHA-256 with them, and what does not match is not kept. A full
//! volume is an answer of its own.

mod client;
mod digest;
mod full;
mod places;
mod problem;
mod server;
mod space;
mod upload;
mod uploads;

pub use client::Remote;
pub use full::is_full;
pub use server::{Served, admin, router};
pub use space::Space;

/// The most bytes of one request.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
