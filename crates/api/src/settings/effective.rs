use std::{collections::BTreeMap, sync::Arc};

use commands::{Commands, SettingsLog, Since, StoreError};
use domain::{
    ids::StreamVersion,
    settings::{DEFAULT_PROFILE, Event, Limits, Profile, Retention, State},
};

use super::Configured;

/// Where the settings are asked for. Cheap to clone.
#[derive(Clone)]
pub struct Installation {
    commands: Commands,
    configured: Arc<Configured>,
}

impl Installation {
    /// What `configured` says, under what `commands` has of changes.
    #[must_use]
    pub fn new(commands: Commands, configured: Arc<Configured>) -> Self {
        Self { commands, configured }
    }

    /// What holds now.
    ///
    /// # Errors
    ///
    /// Where the changes cannot be read.
    pub async fn now(&self) -> Result<Effective, StoreError> {
        Ok(Effective {
            configured: self.configured.clone(),
            log: self.commands.load_settings().await?,
        })
    }
}

/// What holds.
#[derive(Clone, Debug)]
pub struct Effective {
    pub(super) configured: Arc<Configured>,
    pub(super) log: Arc<SettingsLog>,
}

/// Where a value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    Configuration,
    Changed(Since),
}

impl Effective {
    /// The version of the settings.
    #[must_use]
    pub fn version(&self) -> StreamVersion {
        self.log.version()
    }

    /// How many runs may be active at once.
    #[must_use]
    pub fn limits(&self) -> Limits {
        limits(&self.configured, &self.log.state)
    }

    /// Which hosts runs may reach.
    #[must_use]
    pub fn allow_list(&self) -> Vec<String> {
        allow_list(&self.configured, &self.log.state)
    }

    /// How long things are kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        retention(&self.configured, &self.log.state)
    }

    /// The profile of that name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<Profile> {
        profile(&self.configured, &self.log.state, name)
    }

    /// Every profile with its name, in the order of the names.
    #[must_use]
    pub fn profiles(&self) -> Vec<(String, Profile)> {
        let mut all: BTreeMap<String, Profile> =
            self.configured.profiles.all().into_iter().collect();
        for (name, changed) in &self.log.state.profiles {
            match changed {
                Some(profile) => drop(all.insert(name.clone(), (**profile).clone())),
                None => drop(all.remove(name)),
            }
        }
        all.into_iter().collect()
    }

    pub(super) fn limits_source(&self) -> Source {
        let since = self.log.since(|event| matches!(event, Event::LimitsChanged { .. }));
        source(since.filter(|_| self.log.state.limits.is_some()), self.configured.limits.given)
    }

    pub(super) fn allow_list_source(&self) -> Source {
        let since = self.log.since(|event| matches!(event, Event::AllowListChanged { .. }));
        let since = since.filter(|_| self.log.state.allow_list.is_some());
        source(since, self.configured.allow_list.given)
    }

    pub(super) fn retention_source(&self) -> Source {
        let since = self.log.since(|event| matches!(event, Event::RetentionChanged { .. }));
        let since = since.filter(|_| self.log.state.retention.is_some());
        source(since, self.configured.retention.given)
    }

    pub(crate) fn has_configured(&self, name: &str) -> bool {
        self.configured.has_profile(name)
    }

    pub(crate) fn profile_source(&self, of: &str) -> Source {
        let since = self
            .log
            .since(|event| matches!(event, Event::ProfileChanged { name, .. } if name == of));
        source(since, self.configured.profiles.is_given(of))
    }
}

fn source(changed: Option<Since>, given: bool) -> Source {
    match changed {
        Some(since) => Source::Changed(since),
        None if given => Source::Configuration,
        None => Source::Default,
    }
}

pub(super) fn limits(configured: &Configured, state: &State) -> Limits {
    state.limits.unwrap_or(configured.limits.value)
}

pub(super) fn allow_list(configured: &Configured, state: &State) -> Vec<String> {
    state.allow_list.clone().unwrap_or_else(|| configured.allow_list.value.clone())
}

pub(super) fn retention(configured: &Configured, state: &State) -> Retention {
    state.retention.unwrap_or(configured.retention.value)
}

pub(super) fn profile(configured: &Configured, state: &State, name: &str) -> Option<Profile> {
    match state.profiles.get(name) {
        Some(changed) => changed.as_deref().cloned(),
        None if name == DEFAULT_PROFILE => Some(configured.profiles.get(name).unwrap_or_default()),
        None => configured.profiles.get(name),
    }
}
