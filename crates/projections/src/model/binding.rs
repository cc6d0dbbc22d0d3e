use chrono::{DateTime, Utc};
use domain::{
    binding::{Event, Grant},
    event::{Actor, Recorded},
    ids::{BindingId, StreamVersion},
};
use serde::{Deserialize, Serialize};

/// One role binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingRow {
    /// Its id.
    pub id: BindingId,
    /// What it gives to whom, or gave.
    pub grant: Grant,
    /// Whether it holds.
    pub holds: bool,
    /// Who gave it.
    pub granted_by: Actor,
    /// When.
    pub granted_at: DateTime<Utc>,
    /// Its stream's version.
    pub version: StreamVersion,
}

impl BindingRow {
    /// The row after an event. Only a grant begins one.
    pub(crate) fn after(row: Option<Self>, recorded: &Recorded, event: &Event) -> Option<Self> {
        match (row, event) {
            (_, Event::RoleGranted(grant)) => Some(Self {
                id: BindingId(recorded.stream.id),
                grant: grant.clone(),
                holds: true,
                granted_by: recorded.actor,
                granted_at: recorded.time,
                version: recorded.version,
            }),
            (Some(row), Event::RoleRevoked(_)) => {
                Some(Self { holds: false, version: recorded.version, ..row })
            }
            (None, Event::RoleRevoked(_)) => None,
        }
    }
}
