use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rejection::{Fault, within};

/// How long what runs leave behind is kept. The bundle that a session goes on from is never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// How many minutes a bundle stays that a newer one of the same run superseded; 10 to 525,600: a workload
    /// may be reading it.
    pub superseded_bundle_minutes: u32,
    /// How many days a session's older bundles stay; 1 to 36,500. Null: as long as the session.
    #[serde(default)]
    pub bundle_days: Option<u32>,
    /// How many days the output of a run stays after its end, with what was recorded of its terminal; 1 to
    /// 36,500. Null: as long as the session.
    #[serde(default)]
    pub output_days: Option<u32>,
    /// How many hours an upload that broke off may be gone on with; 1 to 8,760.
    pub partial_upload_hours: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            superseded_bundle_minutes: 10,
            bundle_days: None,
            output_days: None,
            partial_upload_hours: 24,
        }
    }
}

impl Retention {
    /// What is wrong with it, each with its field.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let days = |field, days: Option<u32>| days.and_then(|days| within(field, days, 1..=36_500));
        [
            within("superseded_bundle_minutes", self.superseded_bundle_minutes, 10..=525_600),
            days("bundle_days", self.bundle_days),
            days("output_days", self.output_days),
            within("partial_upload_hours", self.partial_upload_hours, 1..=8_760),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
