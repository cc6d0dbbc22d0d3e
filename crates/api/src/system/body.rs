use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A part of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartName {
    /// PostgreSQL.
    Database,
    /// What gives events their positions.
    Sequencer,
    /// What copies them to NATS.
    Relay,
    /// What makes lists of them.
    Projections,
    /// What signs the record.
    Signer,
    /// Where bundles are kept.
    Artifacts,
    /// What starts runs.
    Adapter,
    /// What runs reach the world through.
    Egress,
    /// GitHub, or what stands in for it.
    Forge,
    /// The model's provider.
    Model,
}

/// How the installation is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SystemBody {
    /// Paddock's version.
    pub(crate) version: String,
    /// What there is to try out, where this is the demo.
    pub(crate) demo: Option<DemoBody>,
    /// Its parts; one that was not looked at yet is missing.
    pub(crate) parts: Vec<PartBody>,
}

/// What there is to try out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DemoBody {
    pub(crate) repo: String,
    pub(crate) issue: u64,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PartBody {
    pub(crate) name: PartName,
    pub(crate) ok: bool,
    /// Since when it is, or is not.
    pub(crate) since: DateTime<Utc>,
    /// What was seen, in words.
    pub(crate) detail: String,
    /// What works all the same; null while it is well.
    pub(crate) still_works: Option<String>,
    /// What to do; null while it is well.
    pub(crate) action: Option<String>,
    /// How many positions it is behind the log, where it follows it.
    pub(crate) lag: Option<u64>,
}
