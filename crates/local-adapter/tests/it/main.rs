//! Real sandboxes under the real bubblewrap. The scripts in them stand where `paddock-harness` and
//! `paddock sidecar` would.
//!
//! As root, `as_user` runs all of this a second time as a normal user.

mod as_user;
mod bombs;
mod life;
mod refusal;
mod starter;
mod support;
mod takeover;
mod walls;
