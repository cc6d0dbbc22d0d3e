use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use domain::{
    event::Event,
    ids::{BindingId, BundleDigest, RunId, SessionId, StreamVersion},
    run::Usage,
    stream::StreamId,
};
use uuid::Uuid;

use super::{BindingRow, BundleRow, RunRow, SessionRow, TimelineRow, session::BundleChange};
use crate::log_reader::Logged;

/// What a batch of the log does to the read models: the rows that it touches, as they are after it.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// The sessions and runs whose rows were there before it.
    pub(crate) stored: BTreeSet<Uuid>,
    pub(crate) sessions: BTreeMap<SessionId, SessionRow>,
    pub(crate) runs: BTreeMap<RunId, RunRow>,
    pub(crate) timeline: Vec<(RunId, TimelineRow)>,
    /// With the position of the event that changed each last.
    pub(crate) bindings: BTreeMap<BindingId, (u64, BindingRow)>,
    /// With the position of the event that stored each.
    pub(crate) bundles: BTreeMap<(SessionId, BundleDigest), (u64, BundleRow)>,
}

/// An event that does not follow what is projected of its stream. The log holds every stream whole and in
/// order, so either it is damaged or the read model is.
#[derive(Debug, thiserror::Error)]
#[error("{stream} goes on with version {found}, where {expected} is next")]
pub(crate) struct OutOfOrder {
    stream: StreamId,
    found: StreamVersion,
    expected: StreamVersion,
}

impl Delta {
    /// Takes in the next event. The rows that it touches are already here, if they exist.
    pub(crate) fn apply(&mut self, logged: &Logged) -> Result<(), OutOfOrder> {
        let recorded = &logged.positioned.recorded;
        let position = logged.positioned.position;
        match &recorded.event {
            Event::Session(event) => {
                let id = SessionId(recorded.stream.id);
                logged.follows(self.sessions.get(&id).map(|row| row.version))?;
                if let Some(row) = self.sessions.get_mut(&id) {
                    let change = row.apply(position, recorded, event);
                    self.bundles(id, position.0, change);
                } else if let Some(row) = SessionRow::begun(position, recorded, event) {
                    self.sessions.insert(id, row);
                } else {
                    return Err(logged.out_of_order(StreamVersion::NONE));
                }
            }
            Event::Run(event) => {
                let id = RunId(recorded.stream.id);
                logged.follows(self.runs.get(&id).map(|row| row.version))?;
                let (run, before) = match self.runs.entry(id) {
                    Entry::Occupied(row) => {
                        let row = row.into_mut();
                        let before = row.usage;
                        row.apply(recorded, event, &logged.name);
                        (&*row, before)
                    }
                    Entry::Vacant(place) => {
                        let begun = RunRow::begun(recorded, event);
                        let missing = || logged.out_of_order(StreamVersion::NONE);
                        (&*place.insert(begun.ok_or_else(missing)?), Usage::default())
                    }
                };
                if let Some(session) = self.sessions.get_mut(&run.requested.session) {
                    session.apply_run(position, recorded, event, run, before);
                }
                let row = TimelineRow::of(position, recorded, event, logged.name.clone());
                self.timeline.push((id, row));
            }
            Event::Binding(event) => {
                let id = BindingId(recorded.stream.id);
                let row = self.bindings.get(&id).map(|(_, row)| row.clone());
                logged.follows(row.as_ref().map(|row| row.version))?;
                let row = BindingRow::after(row, recorded, event);
                let row = row.ok_or_else(|| logged.out_of_order(StreamVersion::NONE))?;
                self.bindings.insert(id, (position.0, row));
            }
            // These have no read model yet: they are read from the log itself.
            Event::Actor(_) | Event::Log(_) | Event::Settings(_) | Event::Credential(_) => {}
        }
        Ok(())
    }

    fn bundles(&mut self, session: SessionId, position: u64, change: Option<BundleChange>) {
        match change {
            None => {}
            Some(BundleChange::Stored(row)) => {
                self.bundles.insert((session, row.info.digest.clone()), (position, row));
            }
            Some(BundleChange::Expired(digest)) => {
                if let Some((_, row)) = self.bundles.get_mut(&(session, digest)) {
                    row.expired = true;
                }
            }
            Some(BundleChange::AllExpired) => {
                let own = self.bundles.iter_mut().filter(|((of, _), _)| *of == session);
                own.for_each(|(_, (_, row))| row.expired = true);
            }
        }
    }
}

impl Logged {
    fn follows(&self, known: Option<StreamVersion>) -> Result<(), OutOfOrder> {
        let known = known.unwrap_or(StreamVersion::NONE);
        if self.positioned.recorded.version == known.next() {
            Ok(())
        } else {
            Err(self.out_of_order(known))
        }
    }

    fn out_of_order(&self, known: StreamVersion) -> OutOfOrder {
        let recorded = &self.positioned.recorded;
        OutOfOrder { stream: recorded.stream, found: recorded.version, expected: known.next() }
    }
}
