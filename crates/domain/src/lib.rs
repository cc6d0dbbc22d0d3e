//! What Paddock decides, without doing anything: ids, events, commands, `decide` and `evolve`,
//! the codecs of stored events and the public event contract.
//!
//! This crate does no I/O, knows no clock and makes no ids: `now` and new ids arrive inside the
//! commands. Everything here is a pure function or a value.

pub mod access;
pub mod actor;
mod as_text;
pub mod binding;
pub mod codec;
pub mod credential;
pub mod event;
pub mod github;
pub mod ids;
pub mod leaf;
pub mod log;
pub mod run;
pub mod session;
pub mod settings;
pub mod stream;
pub mod text;
pub mod tree;
pub mod workload;
