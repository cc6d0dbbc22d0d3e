use std::collections::BTreeMap;

use crate::settings::{Event, Limits, Profile, Retention};

/// What people changed, folded from its events. What nobody changed is absent: configuration says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The limits, where they were changed.
    pub limits: Option<Limits>,
    /// The allow-list, where it was changed.
    pub allow_list: Option<Vec<String>>,
    /// The profiles that were changed, and those that were removed.
    pub profiles: BTreeMap<String, Option<Box<Profile>>>,
    /// The retention, where it was changed.
    pub retention: Option<Retention>,
}

/// The state after `event`. Total: every event fits.
#[must_use]
pub fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::LimitsChanged { limits } => state.limits = *limits,
        Event::AllowListChanged { hosts } => state.allow_list.clone_from(hosts),
        Event::ProfileChanged { name, profile } => {
            state.profiles.insert(name.clone(), Some(profile.clone()));
        }
        Event::ProfileRemoved { name } => {
            state.profiles.insert(name.clone(), None);
        }
        Event::RetentionChanged { retention } => state.retention = *retention,
    }
    state
}

/// The state after all of `events`, from nothing.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::default(), evolve)
}
