//! Runs: stretches of an agent's work in a session.

mod act;
mod body;
mod changes;
mod egress;
mod input;
mod output;
mod prompt;
mod read;
mod start;
mod timeline;
mod transcript;

pub(crate) use self::{
    act::*, body::*, changes::*, egress::*, input::*, output::*, prompt::*, read::*, start::*,
    timeline::*, transcript::*,
};
