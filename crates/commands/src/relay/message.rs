//! The messages: CloudEvents 1.0 in structured JSON.

use std::str::FromStr;

use async_nats::{HeaderMap, jetstream::message::PublishMessage};
use chrono::{DateTime, Utc};
use cloudevents::{EventBuilder, EventBuilderV10};
use domain::ids::Position;
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{StoreError, log::Epoch, relay::STREAM, store::append::signed};

/// The header that holds the position.
pub const POSITION: &str = "Paddock-Position";
/// The header that holds the epoch in which the message was relayed.
pub const EPOCH: &str = "Paddock-Epoch";
/// The header that says how many positions that epoch took over: a consumer that meets a new epoch drops
/// what it has beyond them, and goes on from there.
pub const EPOCH_SIZE: &str = "Paddock-Epoch-Size";

/// What every subject begins with: `<prefix>.<kind>.<id>.<event>`.
#[must_use]
pub const fn subject_prefix() -> &'static str {
    "paddock.ev.v1"
}

/// An event on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) position: Position,
    pub(super) id: Uuid,
    stream: String,
    version: i64,
    name: String,
    schema: i16,
    actor: String,
    time: DateTime<Utc>,
    correlation: Uuid,
    body: Vec<u8>,
}

/// The events after a position, at most `most`, in order.
pub(super) async fn after(
    executor: impl PgExecutor<'_>,
    position: Position,
    most: i64,
) -> Result<Vec<Outgoing>, StoreError> {
    let rows = sqlx::query!(
        "select l.position, e.id, e.stream, e.version, e.name, e.schema, e.actor, e.time, e.correlation, e.body
         from paddock.log l join paddock.event e on e.id = l.event
         where l.position > $1 and l.position <= $1 + $2 order by l.position",
        signed(position.0),
        most,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Outgoing {
            position: Position(row.position.unsigned_abs()),
            id: row.id,
            stream: row.stream,
            version: row.version,
            name: row.name,
            schema: row.schema,
            actor: row.actor,
            time: row.time,
            correlation: row.correlation,
            body: row.body,
        })
        .collect())
}

impl Outgoing {
    /// The subject and the message, which expects to follow the position before its own.
    pub(super) fn message(
        &self,
        source: &str,
        epoch: &Epoch,
        size: Position,
    ) -> (String, PublishMessage) {
        let message = PublishMessage::build()
            .payload(self.cloud_event(source, epoch).to_string().into())
            .headers(HeaderMap::new())
            .header("Content-Type", "application/cloudevents+json")
            .header(POSITION, self.position.to_string())
            .header(EPOCH, epoch.to_string())
            .header(EPOCH_SIZE, size.to_string())
            .message_id(self.id.to_string())
            .expected_stream(STREAM)
            .expected_last_sequence(self.position.0 - 1);
        (self.subject(), message)
    }

    /// `paddock.ev.v1.<kind>.<id>.<event>`, with the event's name without its kind.
    fn subject(&self) -> String {
        let (kind, id) = self.stream.split_once('-').unwrap_or((&self.stream, "none"));
        let event = self.name.strip_prefix(kind).and_then(|name| name.strip_prefix('.'));
        format!("{}.{kind}.{id}.{}", subject_prefix(), event.unwrap_or(&self.name))
    }

    fn cloud_event(&self, source: &str, epoch: &Epoch) -> Value {
        let kind = format!("dev.paddock.{}.v{}", self.name, self.schema);
        let schema = format!("{source}/schemas/dev.paddock.{}/{}", self.name, self.schema);
        let body = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let event = EventBuilderV10::new()
            .id(self.id.to_string())
            .ty(kind)
            .source(source)
            .subject(&self.stream)
            .time(self.time)
            .data_with_schema("application/json", schema, body)
            .extension("partitionkey", self.stream.clone())
            .extension("sequence", format!("{:020}", self.position.0))
            .extension("streamversion", self.version.to_string())
            .extension("epoch", epoch.to_string())
            .extension("actor", self.actor.clone())
            .extension("traceparent", self.traceparent())
            .build();
        event.ok().and_then(|event| serde_json::to_value(event).ok()).unwrap_or(Value::Null)
    }

    /// The W3C trace that all events of one command share: its correlation.
    fn traceparent(&self) -> String {
        let (_, span) = self.id.as_u64_pair();
        format!("00-{}-{span:016x}-00", self.correlation.as_simple())
    }
}

/// What a message's headers say it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) position: Position,
    pub(super) epoch: Epoch,
    pub(super) id: Uuid,
}

impl Marks {
    /// Reads them; none where the message is not one of the relay's.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        fn parse<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
            headers.get(name)?.as_str().parse().ok()
        }
        Some(Self {
            position: Position(parse(headers, POSITION)?),
            epoch: parse(headers, EPOCH)?,
            id: parse(headers, async_nats::header::NATS_MESSAGE_ID.as_ref())?,
        })
    }
}
