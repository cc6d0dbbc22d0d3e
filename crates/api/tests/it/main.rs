//! The API against a real database and over real sockets.

mod bundles;
mod link;
mod world;
