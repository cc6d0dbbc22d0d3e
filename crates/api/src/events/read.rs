use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use super::message::EventMessage;
use super::{connection::stream, topic::Topic};
use crate::{
    access::KnownCaller,
    problem::{Answer, Problem},
    request::Params,
    state::AppState,
};

/// The most topics of one stream.
const MOST: usize = 64;

/// What to watch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// At most 64, separated by commas: `sessions`, `run:<id>`, `output:<id>`, `changes:<id>`, `system`. The
    /// first three go on from a place: `<topic>@<the last at>`; without one, from now.
    topics: String,
}

/// Streams what happens to all topics named: server-sent events, each with its topic and with the place from
/// which that goes on.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "streamEvents", tag = "events",
    params(EventsQuery),
    responses((status = 200, description = "Server-sent events; each one's data is one of these",
        body = EventMessage, content_type = "text/event-stream")))]
pub(crate) async fn stream_events(
    State(state): State<AppState>,
    KnownCaller(caller): KnownCaller,
    Params(query): Params<EventsQuery>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let messages = stream(state, caller, topics(&query.topics)?);
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))))
}

fn topics(text: &str) -> Answer<Vec<Topic>> {
    let malformed = |words: String| Problem::malformed("topics", words);
    let mut names = BTreeSet::new();
    let mut topics = vec![];
    for text in text.split(',') {
        if topics.len() == MOST {
            return Err(malformed(format!("may be at most {MOST}")));
        }
        let topic: Topic = text.parse().map_err(|error| malformed(format!("{error}")))?;
        if !names.insert(topic.to_string()) {
            return Err(malformed(format!("{topic} is there twice")));
        }
        topics.push(topic);
    }
    Ok(topics)
}
