//! Every decision of the gateway, on the record: kept in memory and on disk until the control plane
//! has it.

mod journal;
mod log;
mod record;
mod report;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::ids::RunId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use log::DecisionLog;
pub(crate) use record::{Asked, Record};
pub(crate) use report::Reporter;

/// Which way was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tunnel.
    Connect,
    /// Plain HTTP through the proxy.
    Http,
    /// The model route.
    Model,
    /// The git route.
    Git,
}

/// What the gateway answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Passed on.
    Allowed,
    /// Not passed on.
    Refused,
}

/// One decision, as it is reported. The id makes reporting it twice harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its id.
    pub id: Uuid,
    /// The run that asked.
    pub run: RunId,
    /// When it asked.
    pub at: DateTime<Utc>,
    /// Which way.
    pub kind: Kind,
    /// The host asked for, in its canonical form where it has one.
    pub host: String,
    /// The port; 0 where none was given.
    pub port: u16,
    /// The answer.
    pub verdict: Verdict,
    /// Which rule gave it.
    pub rule: String,
    /// The address that was dialled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// Bytes from the sandbox that were passed on.
    pub bytes_up: u64,
    /// Bytes passed back.
    pub bytes_down: u64,
    /// How long it lasted.
    pub duration_ms: u64,
    /// The HTTP status that the sandbox saw, if it got that far.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
}
