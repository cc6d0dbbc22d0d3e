//! The record of everything: read with filters, proven, taken out, and what is erased of the texts beside it.

mod access;
mod blast;
mod body;
mod checkpoint;
mod erase;
mod events;
mod export;
mod keys;
mod proof;
mod witness;

pub(crate) use self::{
    access::*, blast::*, checkpoint::*, erase::*, events::*, export::*, keys::*, proof::*,
};
pub use self::{
    erase::remove_erased_bundles,
    witness::{NotCosigned, Witness},
};
