//! The API against a real database and over real sockets.

mod bundles;
mod gateway;
mod github;
mod link;
mod world;
