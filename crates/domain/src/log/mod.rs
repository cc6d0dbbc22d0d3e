//! The log's own stream: what was done to the log as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{RunId, TextId};

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
    /// Texts were erased: what commits to them stays, they themselves are nowhere any more.
    #[serde(rename = "log.text.erased")]
    TextErased {
        /// The texts.
        texts: Vec<TextId>,
        /// The runs whose output and bundles went with them, because they may repeat them.
        runs: Vec<RunId>,
    },
    /// Checkpoints are signed with another key from here on. The first one that covers this is signed with both.
    #[serde(rename = "log.key.rotated")]
    KeyRotated {
        /// The key before, as verifiers name it.
        from: String,
        /// The key from now on.
        to: String,
    },
}
