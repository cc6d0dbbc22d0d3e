//! How the installation's parts are: looked at while somebody watches, and never when nobody does.

mod body;
mod probe;
mod read;
mod watch;
mod words;

pub use body::PartName;
pub use probe::{Finding, Probe};
pub use watch::System;

pub(crate) use body::SystemBody;
pub(crate) use read::*;
