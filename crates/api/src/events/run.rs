use std::time::Duration;

use domain::ids::{RunId, StreamVersion};
use tokio::time::{sleep, timeout};

use super::{
    connection::{Closed, Out, RETRY, SETTLE, moved},
    message::{EventMessage, GoneEvent, RunEvent},
};
use crate::{
    access::Allowance,
    problem::Answer,
    runs::{RunBody, TimelineBody},
    state::AppState,
};

/// The most entries of the time line in one message.
const MOST: u32 = 200;
/// How often it is looked at when nothing wakes it: another process may be the one that projects.
const POLL: Duration = Duration::from_secs(2);

/// Tells what happens to a run.
pub(super) async fn watch(
    state: &AppState,
    to: &Allowance,
    topic: String,
    run: RunId,
    at: Option<StreamVersion>,
    out: &Out,
) -> Result<(), Closed> {
    let mut views = state.views.health().position();
    let mut at = loop {
        match state.views.run(run).await {
            Ok(Some(row)) => break at.unwrap_or(row.version),
            Ok(None) => return gone(topic, out).await,
            Err(_) => sleep(RETRY).await,
        }
    };
    loop {
        let seen = *views.borrow_and_update();
        match news(state, to, &topic, run, at).await {
            Ok(Some((event, newest))) => {
                out.send(EventMessage::Run(event)).await?;
                at = newest;
                continue;
            }
            Ok(None) => {}
            Err(_) => {
                sleep(RETRY).await;
                continue;
            }
        }
        let _ = timeout(POLL, moved(&mut views, seen)).await;
        sleep(SETTLE).await;
    }
}

/// There is no such run.
pub(super) async fn gone(topic: String, out: &Out) -> Result<(), Closed> {
    out.send(EventMessage::Gone(GoneEvent { topic })).await
}

async fn news(
    state: &AppState,
    to: &Allowance,
    topic: &str,
    run: RunId,
    at: StreamVersion,
) -> Answer<Option<(RunEvent, StreamVersion)>> {
    let events = state.views.timeline_after(run, at, MOST).await?;
    let Some(newest) = events.last().map(|event| event.version) else { return Ok(None) };
    // After its time line: it includes all of that.
    let Some(row) = state.views.run(run).await? else { return Ok(None) };
    let event = RunEvent {
        topic: topic.to_owned(),
        at: newest.to_string(),
        run: RunBody::one(state, to, row).await?,
        events: TimelineBody::list(state, events).await?,
    };
    Ok(Some((event, newest)))
}
