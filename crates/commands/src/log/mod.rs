//! The log as a whole: its epoch, its proof, and taking it over after a restore.

mod adopt;
mod check;
mod epoch;
pub(crate) mod halt;

pub use adopt::{AdoptError, Adopted, adopt};
pub use check::{Problem, Report, check};
pub use epoch::{Epoch, EpochError, NotAnEpoch, current_epoch};
