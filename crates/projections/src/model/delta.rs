use std::collections::BTreeMap;

use domain::{
    codec,
    event::{Event, Positioned},
    ids::{RunId, SessionId},
};

use super::{BundleRow, RunRow, SessionRow, TimelineRow, session::BundleChange};

/// What a batch of the log does to the read models: the rows that it touches, as they are after it.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(crate) sessions: BTreeMap<SessionId, SessionRow>,
    pub(crate) runs: BTreeMap<RunId, RunRow>,
    pub(crate) timeline: Vec<(RunId, TimelineRow)>,
    pub(crate) bundles: BTreeMap<(SessionId, String), (u64, BundleRow)>,
}

impl Delta {
    /// Takes in the next event. The rows that it touches are already here, if they exist.
    pub(crate) fn apply(&mut self, positioned: &Positioned) {
        let recorded = &positioned.recorded;
        match &recorded.event {
            Event::Session(event) => {
                let id = SessionId(recorded.stream.id);
                let change = if let Some(row) = self.sessions.get_mut(&id) {
                    row.apply(recorded, event)
                } else {
                    self.sessions.extend(SessionRow::begun(recorded, event).map(|row| (id, row)));
                    None
                };
                self.bundles(id, positioned.position.0, change);
            }
            Event::Run(event) => {
                let id = RunId(recorded.stream.id);
                let name = codec::encode(&recorded.event).name;
                match self.runs.get_mut(&id) {
                    Some(row) => row.apply(recorded, event, &name),
                    None => self.runs.extend(RunRow::begun(recorded, event).map(|row| (id, row))),
                }
                let session = self.runs.get(&id).map(|row| row.requested.session);
                if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
                    session.apply_run(recorded, event);
                }
                let row = TimelineRow::of(positioned.position, recorded, event, name);
                self.timeline.push((id, row));
            }
            // These have no read model yet: they are read from the log itself.
            Event::Actor(_) | Event::Log(_) => {}
        }
    }

    fn bundles(&mut self, session: SessionId, position: u64, change: Option<BundleChange>) {
        match change {
            None => {}
            Some(BundleChange::Stored(row)) => {
                self.bundles.insert((session, row.info.digest.0.clone()), (position, row));
            }
            Some(BundleChange::Expired(digest)) => {
                if let Some((_, row)) = self.bundles.get_mut(&(session, digest.0)) {
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
