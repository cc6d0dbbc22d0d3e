use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Limits, Profile, Retention};

/// What changed in the settings: each event holds its section whole, as it is from then on. Wire names are
/// permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// How many runs may be active at once.
    #[serde(rename = "settings.limits.changed")]
    LimitsChanged {
        /// The limits; null: those of the configuration again.
        limits: Option<Limits>,
    },
    /// Which hosts runs may reach beside the forge and the model.
    #[serde(rename = "settings.allow_list.changed")]
    AllowListChanged {
        /// The rules; null: those of the configuration again.
        hosts: Option<Vec<String>>,
    },
    /// What a harness profile gives.
    #[serde(rename = "settings.profile.changed")]
    ProfileChanged {
        /// Its name.
        name: String,
        /// What it gives.
        profile: Box<Profile>,
    },
    /// A harness profile is not there any more, also where configuration has one of that name.
    #[serde(rename = "settings.profile.removed")]
    ProfileRemoved {
        /// Its name.
        name: String,
    },
    /// How long things are kept.
    #[serde(rename = "settings.retention.changed")]
    RetentionChanged {
        /// The times; null: those of the configuration again.
        retention: Option<Retention>,
    },
}
