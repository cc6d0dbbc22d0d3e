//! The settings' stream, kept in memory: it is asked for with every run and every round of the tasks.
//!
//! What is kept is proven each time by the one question that reads what came after: the newest event known must
//! still be there. Otherwise the database is another one than before, and all of it is read again.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use domain::{
    event::{Actor, Event, Recorded},
    ids::StreamVersion,
    settings::{self, State},
    stream::StreamId,
};
use sqlx::PgPool;

use crate::{StoreError, store::load::events_after};

/// The settings with their history.
#[derive(Clone, Debug, Default)]
pub struct SettingsLog {
    /// As they are.
    pub state: State,
    /// What was changed, in order: version *n* is at index *n* - 1.
    pub events: Vec<Recorded>,
}

/// Who made it so, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Who.
    pub actor: Actor,
    /// When.
    pub time: DateTime<Utc>,
    /// The version of the settings.
    pub version: StreamVersion,
}

impl SettingsLog {
    /// The version they are at.
    #[must_use]
    pub fn version(&self) -> StreamVersion {
        self.events.last().map_or(StreamVersion::NONE, |newest| newest.version)
    }

    /// The newest change of which that is true.
    pub fn since(&self, is_it: impl Fn(&settings::Event) -> bool) -> Option<Since> {
        self.changes().rev().find(|(_, event)| is_it(event)).map(|(recorded, _)| Since {
            actor: recorded.actor,
            time: recorded.time,
            version: recorded.version,
        })
    }

    /// Every change, the oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = (&Recorded, &settings::Event)> {
        self.events.iter().filter_map(|recorded| match &recorded.event {
            Event::Settings(event) => Some((recorded, event)),
            Event::Session(_)
            | Event::Run(_)
            | Event::Actor(_)
            | Event::Log(_)
            | Event::Binding(_)
            | Event::Credential(_) => None,
        })
    }

    fn with(&self, more: Vec<Recorded>) -> Self {
        let mut next = self.clone();
        next.events.extend(more);
        let state = settings::fold(next.changes().map(|(_, event)| event));
        Self { state, ..next }
    }
}

/// The settings as they were last read.
#[derive(Debug, Default)]
pub(crate) struct KnownSettings(Mutex<Arc<SettingsLog>>);

impl KnownSettings {
    pub(crate) async fn load(&self, pool: &PgPool) -> Result<Arc<SettingsLog>, StoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = known.events.last();
        let from = newest.map_or(StreamVersion::NONE, |newest| StreamVersion(newest.version.0 - 1));
        let mut events = events_after(pool, StreamId::SETTINGS, from).await?;
        let loaded = match newest {
            Some(newest) if events.first().is_some_and(|first| first.id == newest.id) => {
                events.remove(0);
                if events.is_empty() {
                    return Ok(known);
                }
                known.with(events)
            }
            Some(_) => {
                let events = events_after(pool, StreamId::SETTINGS, StreamVersion::NONE).await?;
                SettingsLog::default().with(events)
            }
            None if events.is_empty() => return Ok(known),
            None => SettingsLog::default().with(events),
        };
        let loaded = Arc::new(loaded);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = loaded.clone();
        Ok(loaded)
    }
}
