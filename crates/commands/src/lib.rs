//! The event log of Paddock: commands in, events appended, positions assigned, messages relayed.
//!
//! - [`Commands`] handles a command: load → fold → decide → append.
//! - [`access`] decides who may do what, for everybody and in one place.
//! - [`store`] loads and appends; an expected version is a value that only a load gives out.
//! - [`sequencer`] gives committed events their positions; [`relay`] copies them to NATS JetStream.
//! - [`audit`](mod@audit) signs checkpoints of the log, proves what is in it, exports it, and erases texts.
//! - [`log`] proves the log whole, and takes it over after a restore.
//! - [`migrate`](mod@migrate) makes the schema; [`rights`] checks that the serving role can only add.

pub mod access;
pub mod audit;
mod caused;
mod connect;
mod context;
mod doorbell;
mod election;
mod error;
mod handler;
mod identity;
pub mod log;
pub mod migrate;
mod objects;
pub mod output;
pub mod progress;
pub mod relay;
pub mod rights;
pub mod sequencer;
mod settings;
pub mod store;
mod workload;

pub use caused::{Accepted, Caused, Idempotency};
pub use connect::connect;
pub use context::{Clock, Context, Entropy};
pub use doorbell::{Doorbell, Listener};
pub use error::{CommandError, StoreError};
pub use handler::Commands;
pub use migrate::migrate;
pub use objects::{Claim, kubernetes_id};
pub use progress::{Progress, Standing};
pub use rights::check_rights;
pub use settings::{SettingsLog, Since};
pub use workload::Report;
