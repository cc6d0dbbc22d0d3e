//! The gateway as a sandbox meets it: real sockets on loopback, real git.

mod control;
mod forge;
mod git;
mod model;
mod policy;
mod world;
