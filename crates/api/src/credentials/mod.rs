//! Credentials for the forge: registered by people, kept in a secret store, handed to what runs ask of the forge.
//!
//! A value goes three ways and no other: from whoever registers it into the store, from the store to the gateway's
//! memory for one run, and from the store into the control plane's own requests to the forge. It is in no event, no
//! row, no log line and no answer of the API.

mod body;
mod broker;
mod change;
mod check;
mod choose;
mod file;
mod list;
mod mint;
mod register;
mod store;
mod value;

pub use self::{
    broker::{Credentials, Handed, Withheld},
    file::{FileStore, FileStoreError},
    store::{NotAPlace, Place, SecretStore, SecretStoreError},
    value::SecretValue,
};
pub(crate) use self::{change::*, choose::choose, list::*, register::*};
