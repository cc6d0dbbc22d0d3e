//! The gateway as a sandbox meets it: real sockets on loopback, real git.

mod bypass;
mod control;
mod credential;
mod decisions;
mod forge;
mod git;
mod limits;
mod model;
mod network;
mod policy;
mod process;
mod proxy;
mod tunnel;
mod world;
