use chrono::{DateTime, Utc};

use crate::{
    credential::{Checked, Event, Outcome, Registered},
    ids::{Generation, ValueId},
};

/// A credential, folded from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No event yet.
    #[default]
    New,
    /// It can be used.
    Active(Credential),
    /// It was revoked, for good.
    Revoked(Credential),
}

/// What is known of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// As it was registered.
    pub registered: Registered,
    /// Which value counts.
    pub generation: Generation,
    /// Where that is.
    pub value: ValueId,
    /// What the forge said of that value, when last asked.
    pub checked: Option<Checked>,
}

impl Credential {
    /// When the value that counts expires, where the forge said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self.checked.as_ref()?.outcome {
            Outcome::Works { expires_at, .. } => expires_at,
            Outcome::Refused { .. } | Outcome::Unknown { .. } => None,
        }
    }
}

impl State {
    /// What is known of it, revoked or not.
    #[must_use]
    pub const fn known(&self) -> Option<&Credential> {
        match self {
            Self::New => None,
            Self::Active(credential) | Self::Revoked(credential) => Some(credential),
        }
    }
}

/// The state after `event`. Total: an event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::New, Event::Registered(registered)) => State::Active(Credential {
            registered: registered.clone(),
            generation: Generation::FIRST,
            value: registered.value,
            checked: None,
        }),
        (State::Active(credential), Event::Rotated { generation, value }) => {
            State::Active(Credential {
                generation: *generation,
                value: *value,
                checked: None,
                ..credential
            })
        }
        (State::Active(credential), Event::Verified(checked)) => {
            State::Active(Credential { checked: Some(checked.clone()), ..credential })
        }
        (State::Active(credential), Event::Revoked {}) => State::Revoked(credential),
        (
            state @ (State::New | State::Active(_) | State::Revoked(_)),
            Event::Registered(_) | Event::Rotated { .. } | Event::Verified(_) | Event::Revoked {},
        ) => state,
    }
}

/// The state after all of `events`, from nothing.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::New, evolve)
}
