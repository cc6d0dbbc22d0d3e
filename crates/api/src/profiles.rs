//! Harness profiles: what a run gets, by name.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{access::Caller, answer::ListBody, state::AppState};

/// The profiles of an installation; `default` is there without being named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profiles(BTreeMap<String, Profile>);

/// What a run gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// What it is for, in one line.
    pub description: String,
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
            description: "Everything by default".to_owned(),
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

    /// Every profile with its name, in the order of the names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Profile)> {
        let mut all = self.0.clone();
        all.entry("default".to_owned()).or_default();
        all.into_iter().collect()
    }
}

/// A harness profile: what a run gets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileBody {
    name: String,
    /// What it is for, in one line.
    description: String,
    /// The egress mode of a run that asks for none.
    egress: String,
    /// How many seconds a run may take.
    deadline_seconds: u32,
    /// How many seconds a run stays idle after an unattended turn.
    linger_seconds: u32,
    /// How many seconds a run stays idle after a person's further prompt.
    attended_linger_seconds: u32,
    /// How many seconds a permission or question waits.
    input_timeout_seconds: u32,
    memory_mib: u32,
    disk_mib: u32,
    /// How often a lost workload is started again.
    max_retries: u32,
    /// Whether a run may start although its fence or a limit cannot be enforced.
    unenforced: bool,
    /// What the agent may do without asking: OpenCode's own permission configuration.
    permission: Value,
}

impl ProfileBody {
    fn of(name: String, profile: Profile) -> Self {
        Self {
            name,
            description: profile.description,
            egress: "github".to_owned(),
            deadline_seconds: profile.deadline_seconds,
            linger_seconds: profile.linger_seconds,
            attended_linger_seconds: profile.attended_linger_seconds,
            input_timeout_seconds: profile.input_timeout_seconds,
            memory_mib: profile.memory_mib,
            disk_mib: profile.disk_mib,
            max_retries: profile.max_retries,
            unenforced: profile.unenforced,
            permission: profile.permission,
        }
    }
}

/// Lists the harness profiles, in the order of their names.
#[utoipa::path(get, path = "/api/v1/profiles", operation_id = "listProfiles", tag = "profiles",
    responses((status = 200, description = "All of them", body = ListBody<ProfileBody>)))]
pub(crate) async fn list_profiles(
    State(state): State<AppState>,
    _caller: Caller,
) -> Json<ListBody<ProfileBody>> {
    let all = state.settings.profiles.all().into_iter();
    Json(ListBody {
        items: all.map(|(name, profile)| ProfileBody::of(name, profile)).collect(),
        next: None,
    })
}
