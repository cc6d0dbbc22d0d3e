use crate::binding::{Event, Grant};

/// A binding, folded from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No event yet.
    #[default]
    New,
    /// It holds.
    Granted(Grant),
    /// It was revoked, and can be granted anew.
    Revoked,
}

/// The state after `event`. Total: an event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (_, Event::RoleGranted(grant)) => State::Granted(grant.clone()),
        (State::Granted(_), Event::RoleRevoked(_)) => State::Revoked,
        (state @ (State::New | State::Revoked), Event::RoleRevoked(_)) => state,
    }
}

/// The state after all of `events`, from nothing.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::New, evolve)
}
