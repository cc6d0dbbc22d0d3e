use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use chrono::TimeDelta;
use domain::ids::RunId;
use futures::{Stream, StreamExt as _};
use projections::model::Workload;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    access::{Caller, changed},
    output::Stored,
    problem::{Answer, Problem},
    request::{Id, Params},
    state::AppState,
};

/// How long a workload may take to hand over what it kept, once its run has ended.
const HAND_OVER: TimeDelta = TimeDelta::seconds(15);
/// How many items are read at once.
const BATCH: u32 = 256;

/// Which part of the output.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputQuery {
    /// After this item; `Last-Event-ID` counts more.
    #[serde(default)]
    after: u64,
    /// Whether to go on until the run has ended; otherwise it ends with what is stored now.
    #[serde(default = "yes")]
    follow: bool,
}

const fn yes() -> bool {
    true
}

/// Streams a run's output: each event is one item, its id where to go on. It closes with an event named
/// `end`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/output", operation_id = "streamOutput", tag = "runs",
    params(("id" = Uuid, Path), OutputQuery, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream")))]
pub(crate) async fn stream_output(
    State(state): State<AppState>,
    caller: Caller,
    Id(run): Id<RunId>,
    Params(query): Params<OutputQuery>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let after =
        match headers.get("last-event-id") {
            None => query.after,
            Some(id) => id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
                Problem::malformed("Last-Event-ID", "is not an id of this stream")
            })?,
        };
    let over = Box::pin(changed(state.clone(), caller));
    let items = items(state, run, after, query.follow).take_until(over);
    Ok(Sse::new(items).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))))
}

fn items(
    state: AppState,
    run: RunId,
    mut after: u64,
    follow: bool,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream! {
        let mut more = state.outputs.subscribe(run);
        loop {
            // Asked before reading: what is stored before the end is read after it.
            let ended = !follow || has_ended(&state, run).await;
            loop {
                let Ok(batch) = state.outputs.read(run, after, BATCH).await else { return };
                let Some(last) = batch.last() else { break };
                after = last.seq;
                for Stored { seq, json } in batch {
                    yield Ok(Event::default().id(seq.to_string()).data(json));
                }
            }
            if ended {
                yield Ok(Event::default().event("end").data("{}"));
                return;
            }
            more.woken().await;
        }
    }
}

/// Whether nothing more will come: the run has ended, and its workload, which may still hand over what it
/// kept, is gone or has had its time.
pub(crate) async fn has_ended(state: &AppState, run: RunId) -> bool {
    let Ok(Some(row)) = state.views.run(run).await else { return false };
    let now = state.commands.context().now();
    row.finished_at.is_some_and(|at| row.workload == Workload::None || at + HAND_OVER <= now)
}
