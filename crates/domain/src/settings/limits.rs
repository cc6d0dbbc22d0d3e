use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rejection::{Fault, within};

/// How many runs may be active at once. A session has one by its nature: its bundle is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// In the whole installation; 0 to 10,000. With 0 every new run waits.
    pub max_runs: u32,
    /// Of one person; 0 to 10,000.
    pub max_runs_per_owner: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_runs: 4, max_runs_per_owner: 4 }
    }
}

impl Limits {
    /// What is wrong with them, each with its field.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        [
            within("max_runs", self.max_runs, 0..=10_000),
            within("max_runs_per_owner", self.max_runs_per_owner, 0..=10_000),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
