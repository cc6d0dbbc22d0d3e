//! The states of the streams that were appended to last, so that the next command of the same stream need not
//! read it first.
//!
//! A state from here may be old, or even of a database that was restored since. So it only ever serves to
//! append: the statement itself proves that the very event before is there and is the newest. What it would refuse
//! is decided again on what is committed.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use domain::{
    event::Event,
    ids::{EventId, StreamVersion},
    run, session,
    stream::StreamId,
};

/// As many streams are known, or up to twice as many. A state is about a kilobyte.
const STREAMS: usize = 2_048;

/// A stream as it was after an append of this process.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) known: Known,
    pub(super) version: StreamVersion,
    /// The event of that version.
    pub(super) event: EventId,
}

/// A stream's state.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Session(session::State),
    Run(run::State),
}

impl Known {
    /// The state after one more event.
    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Session(state), Event::Session(event)) => {
                Self::Session(session::evolve(state, event))
            }
            (Self::Run(state), Event::Run(event)) => Self::Run(run::evolve(state, event)),
            (other, _) => other,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Generations>);

/// Two ages: when the younger is full the older goes, and what of it was used since is in the younger.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<StreamId, Remembered>,
    old: HashMap<StreamId, Remembered>,
}

impl Recent {
    /// What is known of a stream. It is taken out: two commands at once do not both count on it.
    pub(super) fn take(&self, stream: StreamId) -> Option<Remembered> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = all.young.remove(&stream);
        let old = all.old.remove(&stream);
        young.or(old)
    }

    /// Keeps what a stream is after an append.
    pub(super) fn keep(&self, stream: StreamId, remembered: Remembered) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.young.len() >= STREAMS {
            all.old = mem::take(&mut all.young);
        }
        all.young.insert(stream, remembered);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn stream(number: usize) -> StreamId {
        domain::ids::SessionId(Uuid::from_u128(number as u128)).into()
    }

    #[test]
    fn what_was_used_last_is_known_and_no_more_than_twice_the_bound() {
        let recent = Recent::default();
        for number in 0..3 * STREAMS {
            let known = Known::Session(session::State::New);
            let event = EventId(Uuid::from_u128(1));
            recent.keep(stream(number), Remembered { known, version: StreamVersion(7), event });
        }
        let all = recent.0.lock().unwrap();
        assert!(all.young.len() + all.old.len() <= 2 * STREAMS);
        drop(all);
        assert!(recent.take(stream(0)).is_none());
        assert!(recent.take(stream(3 * STREAMS - 1)).is_some());
        assert!(recent.take(stream(3 * STREAMS - 1)).is_none(), "it was taken");
    }
}
