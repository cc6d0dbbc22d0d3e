//! The API against a real database and over real sockets.

mod audit;
mod bundles;
mod events;
mod forge;
mod front;
mod gateway;
mod github;
mod link;
mod lists;
mod matrix;
mod nats;
mod page_sessions;
mod pulls;
mod refused;
mod roles;
mod s3;
mod settings;
mod sse;
mod system;
mod transcript;
mod world;
mod worlds;
