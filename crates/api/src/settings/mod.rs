//! The settings of the installation: what configuration says, under what people changed while it runs.

mod body;
mod change;
mod configured;
mod diff;
mod effective;
mod history;
mod profile;
mod read;
mod words;

pub(crate) use self::{body::*, change::*, history::*, profile::ProfileChange, read::*};
pub use self::{
    configured::{Configured, Layer, Place},
    effective::{Effective, Installation},
};
