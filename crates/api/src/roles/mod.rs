//! Who has which role, given and taken, and why somebody may do something.

mod body;
mod change;
mod explain;
mod list;
mod me;
mod words;

pub(crate) use self::{body::Names, change::*, explain::*, list::*, me::*};
