//! The log's own stream: what was done to the log as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to the log. Wire names are permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// An operator took over a database that was restored or failed over: a new epoch begins.
    #[serde(rename = "log.adopted")]
    Adopted {
        /// The epoch that begins.
        epoch: String,
        /// The epoch that ended.
        previous: String,
        /// The number of positions taken over.
        size: u64,
        /// The RFC 6962 root hash over them, lower-case hexadecimal.
        root: String,
    },
}
