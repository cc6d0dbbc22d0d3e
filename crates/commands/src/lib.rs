//! The event log of Paddock: commands in, events appended, positions assigned, messages relayed.
//!
//! - [`Commands`] handles a command: load → fold → decide → append.
//! - [`store`] loads and appends; an expected version is a value that only a load gives out.
//! - [`migrate`](mod@migrate) makes the schema; [`rights`] checks that the serving role can only add.

mod caused;
mod context;
mod doorbell;
mod error;
mod handler;
mod identity;
pub mod migrate;
pub mod rights;
pub mod store;

pub use caused::{Accepted, Caused, Idempotency};
pub use context::{Clock, Context, Entropy};
pub use doorbell::{Doorbell, Listener};
pub use error::{CommandError, StoreError};
pub use handler::Commands;
pub use migrate::migrate;
pub use rights::check_rights;
