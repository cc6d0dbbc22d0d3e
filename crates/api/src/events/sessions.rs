use std::{collections::BTreeSet, time::Duration};

use domain::{
    access::Action,
    ids::{Position, RunId},
};
use projections::model::SessionRow;
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    connection::{Closed, Out, RETRY, SETTLE, moved},
    message::{EventMessage, ResetEvent, SessionEvent},
};
use crate::{
    access::Allowance,
    problem::Answer,
    sessions::{SessionBody, resource},
    state::AppState,
};

/// More changes than this are not told one by one.
const MOST: u32 = 200;
/// How often what agents do is told.
const PACE: Duration = Duration::from_secs(1);
/// How often it is looked at when nothing wakes it: another process may be the one that projects.
const POLL: Duration = Duration::from_secs(2);

/// Tells of each session that changed.
pub(super) async fn watch(
    state: &AppState,
    to: &Allowance,
    topic: String,
    at: Option<Position>,
    out: &Out,
) -> Result<(), Closed> {
    let mut watch = Watch {
        state,
        to,
        topic,
        out,
        at: Position::START,
        views: state.views.health().position(),
        activity: state.outputs.activity(),
        active: BTreeSet::new(),
    };
    watch.at = watch.begin(at).await?;
    loop {
        let seen = *watch.views.borrow_and_update();
        if !watch.changes().await? {
            sleep(RETRY).await;
            continue;
        }
        watch.wait(seen).await?;
        sleep(SETTLE).await;
    }
}

struct Watch<'a> {
    state: &'a AppState,
    to: &'a Allowance,
    topic: String,
    out: &'a Out,
    at: Position,
    views: watch::Receiver<Position>,
    activity: broadcast::Receiver<RunId>,
    /// Runs whose agent put something out that was not told yet.
    active: BTreeSet<RunId>,
}

impl Watch<'_> {
    /// Where to begin: from now, unless told otherwise; anew, if that is beyond what there is.
    async fn begin(&self, at: Option<Position>) -> Result<Position, Closed> {
        loop {
            match (self.state.views.projected().await, at) {
                (Ok(now), Some(at)) if at > now => {
                    self.reset(now).await?;
                    return Ok(now);
                }
                (Ok(_), Some(at)) => return Ok(at),
                (Ok(now), None) => return Ok(now),
                (Err(_), _) => sleep(RETRY).await,
            }
        }
    }

    async fn reset(&self, at: Position) -> Result<(), Closed> {
        let (topic, at) = (self.topic.clone(), at.to_string());
        self.out.send(EventMessage::Reset(ResetEvent { topic, at })).await
    }

    /// Tells what changed since the last look; false if the database failed.
    async fn changes(&mut self) -> Result<bool, Closed> {
        // Before the look: what comes in between is told, at the latest with the next one.
        let Ok(now) = self.state.views.projected().await else { return Ok(false) };
        let changed = self.state.views.sessions_changed(self.at, MOST + 1).await;
        let Ok(rows) = changed else { return Ok(false) };
        if rows.len() > usize::try_from(MOST).unwrap_or(usize::MAX) {
            self.reset(now).await?;
            self.at = now;
            return Ok(true);
        }
        let newest = rows.last().map(|row| row.changed);
        let rows: Vec<_> = rows.into_iter().filter(|row| self.sees(row)).collect();
        let places: Vec<(Position, uuid::Uuid, bool)> =
            rows.iter().map(|row| (row.changed, row.id.0, row.deleted)).collect();
        let there = rows.into_iter().filter(|row| !row.deleted).collect();
        let Ok(bodies) = SessionBody::of(self.state, self.to, there).await else {
            return Ok(false);
        };
        let mut bodies = bodies.into_iter();
        for (at, id, deleted) in places {
            let session = if deleted { None } else { bodies.next() };
            self.tell(at, session, deleted.then_some(id)).await?;
            self.at = at;
        }
        // What is not told is passed over all the same.
        self.at = newest.unwrap_or(self.at);
        Ok(true)
    }

    fn sees(&self, row: &SessionRow) -> bool {
        self.to.may(Action::ReadSession, &resource(row))
    }

    async fn tell(
        &self,
        at: Position,
        session: Option<SessionBody>,
        removed: Option<uuid::Uuid>,
    ) -> Result<(), Closed> {
        let (topic, at) = (self.topic.clone(), at.to_string());
        self.out.send(EventMessage::Session(SessionEvent { topic, at, session, removed })).await
    }

    /// Returns once the lists may have changed; tells meanwhile what agents do.
    async fn wait(&mut self, seen: Position) -> Result<(), Closed> {
        let poll = Instant::now() + POLL;
        let pace = Instant::now() + PACE;
        loop {
            tokio::select! {
                () = moved(&mut self.views, seen) => return Ok(()),
                run = self.activity.recv() => match run {
                    Ok(run) => {
                        self.active.insert(run);
                    }
                    // Some were missed: they will do something again.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => sleep_until(poll).await,
                },
                () = sleep_until(pace), if !self.active.is_empty() => break,
                () = sleep_until(poll) => return Ok(()),
            }
        }
        let active = std::mem::take(&mut self.active);
        for body in self.bodies_of(active).await.unwrap_or_default() {
            self.tell(self.at, Some(body), None).await?;
        }
        Ok(())
    }

    /// The sessions on which these runs work.
    async fn bodies_of(&self, runs: BTreeSet<RunId>) -> Answer<Vec<SessionBody>> {
        let runs: Vec<RunId> = runs.into_iter().collect();
        let runs = self.state.views.runs_by_id(&runs).await?;
        let ids: BTreeSet<_> = runs.iter().map(|run| run.requested.session).collect();
        let mut rows =
            self.state.views.sessions_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
        rows.retain(|row| self.sees(row));
        SessionBody::of(self.state, self.to, rows).await
    }
}
