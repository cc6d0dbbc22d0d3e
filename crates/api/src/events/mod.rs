//! Everything that happens, as one stream for as many topics as somebody watches. Each topic goes on from a
//! place of its own, which its reader keeps: nothing is kept here, so nothing grows with a slow reader.

mod connection;
mod message;
mod read;
mod topic;

mod changes;
mod output;
mod run;
mod sessions;
mod system;

pub(crate) use read::*;
