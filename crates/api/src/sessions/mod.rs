//! Sessions: lines of work on a repository.

mod artifacts;
mod body;
mod change;
mod create;
mod fork;
mod read;

pub(crate) use self::{artifacts::*, change::*, create::*, fork::*, read::*};
