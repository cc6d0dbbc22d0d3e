//! Harness profiles: what a run gets, by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The profiles of an installation; `default` is there without being named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profiles(BTreeMap<String, Profile>);

/// What a run gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The most memory, in MiB; 512 to 65,536.
    pub memory_mib: u32,
    /// The most disk, in MiB; 256 to 1,048,576.
    pub disk_mib: u32,
    /// How many seconds a run may take; 60 to 86,400.
    pub deadline_seconds: u32,
    /// How many seconds a run stays idle after an unattended turn; 0 to 86,400.
    pub linger_seconds: u32,
    /// How many seconds a run stays idle after a person's further prompt; 0 to 86,400.
    pub attended_linger_seconds: u32,
    /// How many seconds a permission or question waits; 1 to 86,400.
    pub input_timeout_seconds: u32,
    /// How many seconds a sidecar may be without its link; 10 to 86,400.
    pub link_timeout_seconds: u32,
    /// How often a lost workload is started again; 0 to 10.
    pub max_retries: u32,
    /// Whether a run may start although its fence or a limit cannot be enforced.
    pub unenforced: bool,
    /// What the agent may do without asking: OpenCode's own permission configuration. All of it unless
    /// told otherwise: the sandbox is the fence, not the agent's manners.
    pub permission: Value,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            memory_mib: 2048,
            disk_mib: 8192,
            deadline_seconds: 2 * 60 * 60,
            linger_seconds: 0,
            attended_linger_seconds: 10 * 60,
            input_timeout_seconds: 60 * 60,
            link_timeout_seconds: 30 * 60,
            max_retries: 2,
            unenforced: false,
            permission: json!({ "*": "allow" }),
        }
    }
}

impl Profiles {
    /// The profile of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Profile> {
        self.0.get(name).cloned().or_else(|| (name == "default").then(Profile::default))
    }
}
