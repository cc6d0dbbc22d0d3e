use std::collections::BTreeMap;

use domain::settings::Profile;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a harness profile is to give. What is left out is as by default.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProfileChange {
    /// What it is for, in one line of at most 200 characters.
    description: String,
    /// The image of the agent's container, with `opencode` and `git` in it; null: the installation's own. Runs
    /// of a cluster alone have one.
    image: Option<String>,
    /// The cluster's RuntimeClass; null: the installation's own. Runs of a cluster alone have one.
    runtime_class: Option<String>,
    /// The most memory, in MiB; 256 to 4,194,304.
    memory_mib: u32,
    /// The most processor time, in thousandths of a core; 100 to 256,000.
    cpu_millis: u32,
    /// The most disk, in MiB; 256 to 1,048,576.
    disk_mib: u32,
    /// How many seconds a run may take; 60 to 86,400.
    deadline_seconds: u32,
    /// How many seconds a run stays idle after an unattended turn; 0 to 86,400.
    linger_seconds: u32,
    /// How many seconds a run stays idle after a person's further prompt; 0 to 86,400.
    attended_linger_seconds: u32,
    /// How many seconds a permission or question waits; 1 to 86,400.
    input_timeout_seconds: u32,
    /// How many seconds a sidecar may be without its link; 1 to 86,400.
    link_timeout_seconds: u32,
    /// How often a lost workload is started again; 0 to 10.
    max_retries: u32,
    /// Whether a run may start although its fence or a limit cannot be enforced.
    unenforced: bool,
    /// The egress mode of a run that asks for none, `github` or `full`.
    egress: String,
    /// Plain variables of the agent's environment, at most 64. Never secrets.
    env: BTreeMap<String, String>,
    /// What the agent may do without asking: OpenCode's own permission configuration.
    permission: Value,
}

impl Default for ProfileChange {
    fn default() -> Self {
        let Profile {
            description,
            image,
            runtime_class,
            memory_mib,
            cpu_millis,
            disk_mib,
            deadline_seconds,
            linger_seconds,
            attended_linger_seconds,
            input_timeout_seconds,
            link_timeout_seconds,
            max_retries,
            unenforced,
            egress,
            env,
            permission,
        } = Profile::default();
        Self {
            description,
            image,
            runtime_class,
            memory_mib,
            cpu_millis,
            disk_mib,
            deadline_seconds,
            linger_seconds,
            attended_linger_seconds,
            input_timeout_seconds,
            link_timeout_seconds,
            max_retries,
            unenforced,
            egress,
            env,
            permission,
        }
    }
}

impl From<ProfileChange> for Profile {
    fn from(change: ProfileChange) -> Self {
        Self {
            description: change.description.trim().to_owned(),
            image: change.image,
            runtime_class: change.runtime_class,
            memory_mib: change.memory_mib,
            cpu_millis: change.cpu_millis,
            disk_mib: change.disk_mib,
            deadline_seconds: change.deadline_seconds,
            linger_seconds: change.linger_seconds,
            attended_linger_seconds: change.attended_linger_seconds,
            input_timeout_seconds: change.input_timeout_seconds,
            link_timeout_seconds: change.link_timeout_seconds,
            max_retries: change.max_retries,
            unenforced: change.unenforced,
            egress: change.egress,
            env: change.env,
            permission: change.permission,
        }
    }
}
