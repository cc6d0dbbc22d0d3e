//! The API against a real database and over real sockets.

mod bundles;
mod github;
mod link;
mod world;
