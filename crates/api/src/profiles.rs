//! Harness profiles: what a run gets, by name.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use domain::settings::{DEFAULT_PROFILE, Profile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::ListBody,
    problem::Answer,
    settings::{Effective, ProfileChange, SourceBody},
    state::AppState,
};

/// The profiles that configuration gives; `default` is there without being named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, ProfileChange>", into = "BTreeMap<String, Profile>")]
pub struct Profiles(BTreeMap<String, Profile>);

impl From<BTreeMap<String, ProfileChange>> for Profiles {
    fn from(given: BTreeMap<String, ProfileChange>) -> Self {
        Self(given.into_iter().map(|(name, profile)| (name, profile.into())).collect())
    }
}

impl From<Profiles> for BTreeMap<String, Profile> {
    fn from(profiles: Profiles) -> Self {
        profiles.0
    }
}

impl Profiles {
    /// The profile of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Profile> {
        self.0.get(name).cloned().or_else(|| (name == DEFAULT_PROFILE).then(Profile::default))
    }

    /// Every profile with its name, in the order of the names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Profile)> {
        let mut all = self.0.clone();
        all.entry(DEFAULT_PROFILE.to_owned()).or_default();
        all.into_iter().collect()
    }

    /// Whether configuration says something of it.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// A harness profile: what a run gets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileBody {
    name: String,
    /// What it is for, in one line.
    description: String,
    /// The image of the agent's container; null: the installation's own.
    image: Option<String>,
    /// The cluster's RuntimeClass; null: the installation's own.
    runtime_class: Option<String>,
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
    /// How many seconds a sidecar may be without its link.
    link_timeout_seconds: u32,
    memory_mib: u32,
    /// The most processor time, in thousandths of a core.
    cpu_millis: u32,
    disk_mib: u32,
    /// How often a lost workload is started again.
    max_retries: u32,
    /// Whether a run may start although its fence or a limit cannot be enforced.
    unenforced: bool,
    /// Plain variables of the agent's environment.
    env: BTreeMap<String, String>,
    /// What the agent may do without asking: OpenCode's own permission configuration.
    permission: Value,
    /// Where the profile is from.
    source: SourceBody,
    /// Whether configuration has a profile of that name, or Paddock itself.
    configured: bool,
}

impl ProfileBody {
    pub(crate) fn of(effective: &Effective, name: String, profile: Profile) -> Self {
        Self {
            source: effective.profile_source(&name).into(),
            configured: effective.has_configured(&name),
            name,
            description: profile.description,
            image: profile.image,
            runtime_class: profile.runtime_class,
            egress: profile.egress,
            deadline_seconds: profile.deadline_seconds,
            linger_seconds: profile.linger_seconds,
            attended_linger_seconds: profile.attended_linger_seconds,
            input_timeout_seconds: profile.input_timeout_seconds,
            link_timeout_seconds: profile.link_timeout_seconds,
            memory_mib: profile.memory_mib,
            cpu_millis: profile.cpu_millis,
            disk_mib: profile.disk_mib,
            max_retries: profile.max_retries,
            unenforced: profile.unenforced,
            env: profile.env,
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
) -> Answer<Json<ListBody<ProfileBody>>> {
    let effective = state.installation().now().await?;
    let all = effective.profiles().into_iter();
    let items = all.map(|(name, profile)| ProfileBody::of(&effective, name, profile)).collect();
    Ok(Json(ListBody { items, next: None }))
}
