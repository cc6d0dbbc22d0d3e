//! Proving the log whole, from its tables alone.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, Utc};
use domain::{
    codec,
    event::Actor,
    ids::{CorrelationId, EventId, Position, StreamVersion},
    leaf::{Entry, LeafHash},
    stream::StreamId,
    text::commitment,
    tree::Tree,
};
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::{Acquire, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    StoreError,
    log::epoch::{Epoch, place},
};

/// What was counted, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The epoch that the log says it is in.
    pub epoch: Epoch,
    /// How many events there are.
    pub events: u64,
    /// How many of them have a position.
    pub positions: u64,
    /// How many streams.
    pub streams: u64,
    /// How many batches of the sequencer.
    pub batches: u64,
    /// How many texts are there, each as its event committed to.
    pub texts: u64,
    /// How many texts are erased: an event refers to them and they are not there.
    pub erased: u64,
    /// The RFC 6962 root hash over all positions.
    pub root: LeafHash,
    /// What is wrong; the first hundred.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "epoch      {}", self.epoch)?;
        writeln!(
            f,
            "events     {} in {} streams, every stream from 1 without gaps",
            self.events, self.streams
        )?;
        writeln!(
            f,
            "positions  {} in {} batches, every leaf as its event",
            self.positions, self.batches
        )?;
        writeln!(f, "texts      {} as committed to, {} erased", self.texts, self.erased)?;
        writeln!(f, "root       {}", hex::encode(self.root))?;
        if self.is_whole() {
            return write!(f, "the log is whole");
        }
        writeln!(f, "NOT WHOLE, and so not all of the above holds:")?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

/// Something wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The log is in another database than it says.
    #[error("the log was in database {recorded} and is in {actual}")]
    Moved {
        /// What it says.
        recorded: Epoch,
        /// Where it is.
        actual: Epoch,
    },
    /// Sequencer and relay are halted.
    #[error("halted: {0}")]
    Halted(String),
    /// A stream skips a version, or its versions and positions are in different orders.
    #[error("{stream}: version {found} where {expected} belongs")]
    Gap {
        /// The stream's name.
        stream: String,
        /// The version that belongs there.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// Positions are not dense.
    #[error("position {found} where {expected} belongs")]
    Hole {
        /// The position that belongs there.
        expected: u64,
        /// The position found.
        found: u64,
    },
    /// A position holds an event that does not exist.
    #[error("position {0} holds an event that does not exist")]
    NoEvent(u64),
    /// A leaf is not that of its event.
    #[error("position {position}: the leaf is not that of event {event}")]
    Leaf {
        /// The position.
        position: u64,
        /// Its event.
        event: EventId,
    },
    /// An event cannot be read.
    #[error("event {event} cannot be read: {why}")]
    Unreadable {
        /// The event.
        event: EventId,
        /// Why.
        why: String,
    },
    /// A text is not the one that its event committed to.
    #[error("text {text} is not what event {event} committed to")]
    Text {
        /// The text.
        text: Uuid,
        /// The event.
        event: EventId,
    },
    /// A text that no event refers to.
    #[error("{0} texts that no event refers to")]
    Unreferenced(u64),
    /// Batches do not follow one another, or do not end where the log ends.
    #[error("batch {number}: {what}")]
    Batch {
        /// Its number.
        number: i64,
        /// What is wrong with it.
        what: &'static str,
    },
}

const MOST_PROBLEMS: usize = 100;

/// Reads all of the log in one snapshot and proves it whole: every stream gapless and in order, positions
/// dense, every leaf that of its event, every event readable, every text as committed to.
pub async fn check(pool: &PgPool) -> Result<Report, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    let mut checker = Checker::default();
    let place = place(&mut *tx).await?;
    if place.recorded != place.actual {
        let recorded = place.recorded.clone();
        checker.problem(Problem::Moved { recorded, actual: place.actual });
    }
    if let Some(reason) = place.halted {
        checker.problem(Problem::Halted(reason));
    }
    checker.positions(&mut tx).await?;
    checker.unpositioned(&mut tx).await?;
    let batches = checker.batches(&mut tx).await?;
    let texts = checker.texts(&mut tx).await?;
    Ok(Report {
        epoch: place.recorded,
        events: checker.events,
        positions: checker.tree.size(),
        streams: checker.versions.len() as u64,
        batches,
        texts,
        erased: checker.references.len() as u64 - texts,
        root: checker.tree.root(),
        problems: checker.problems,
    })
}

#[derive(Default)]
struct Checker {
    tree: Tree,
    events: u64,
    versions: HashMap<String, u64>,
    /// Each text, who refers to it, and by what commitment.
    references: HashMap<Uuid, (EventId, String)>,
    problems: Vec<Problem>,
}

/// An event with its place in the log, where it has one. The event's columns are absent where a position
/// holds one that does not exist.
struct Row {
    position: Option<i64>,
    leaf: Option<Vec<u8>>,
    id: Option<Uuid>,
    stream: Option<String>,
    version: Option<i64>,
    name: Option<String>,
    schema: Option<i16>,
    actor: Option<String>,
    time: Option<DateTime<Utc>>,
    body: Option<Vec<u8>>,
    correlation: Option<Uuid>,
    form: Option<i16>,
}

impl Checker {
    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    async fn positions(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut rows = sqlx::query_as!(
            Row,
            r#"select l.position as "position?", l.leaf as "leaf?", e.id as "id?", e.stream as "stream?",
                 e.version as "version?", e.name as "name?", e.schema as "schema?", e.actor as "actor?",
                 e.time as "time?", e.body as "body?", e.correlation as "correlation?", l.form as "form?"
               from paddock.log l left join paddock.event e on e.id = l.event order by l.position"#
        )
        .fetch(connection);
        let mut expected = 1;
        while let Some(row) = rows.try_next().await? {
            let found = row.position.unwrap_or_default().unsigned_abs();
            if found != expected {
                self.problem(Problem::Hole { expected, found });
            }
            expected = found + 1;
            let leaf: LeafHash =
                row.leaf.as_deref().and_then(|leaf| leaf.try_into().ok()).unwrap_or_default();
            self.tree.push(leaf);
            if !self.event(&row, Some((Position(found), leaf))) {
                self.problem(Problem::NoEvent(found));
            }
        }
        Ok(())
    }

    async fn unpositioned(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut rows = sqlx::query_as!(
            Row,
            r#"select null::bigint as position, null::bytea as leaf, e.id as "id?", e.stream as "stream?",
                 e.version as "version?", e.name as "name?", e.schema as "schema?", e.actor as "actor?",
                 e.time as "time?", e.body as "body?", e.correlation as "correlation?", null::smallint as form
               from paddock.event e
               where not exists (select from paddock.log l where l.event = e.id) order by seq"#
        )
        .fetch(connection);
        while let Some(row) = rows.try_next().await? {
            self.event(&row, None);
        }
        Ok(())
    }

    /// Checks one event; says whether there is one.
    fn event(&mut self, row: &Row, placed: Option<(Position, LeafHash)>) -> bool {
        let (Some(id), Some(stream), Some(version), Some(name), Some(schema)) =
            (row.id, &row.stream, row.version, &row.name, row.schema)
        else {
            return false;
        };
        let (Some(actor), Some(time), Some(body)) = (&row.actor, row.time, &row.body) else {
            return false;
        };
        let id = EventId(id);
        self.events += 1;
        let found = version.unsigned_abs();
        let last = self.versions.entry(stream.clone()).or_insert(StreamVersion::NONE.0);
        let expected = *last + 1;
        *last = found;
        if found != expected {
            self.problem(Problem::Gap { stream: stream.clone(), expected, found });
        }
        let schema = schema.unsigned_abs();
        let correlation = row.correlation.map(CorrelationId);
        let entry =
            Entry { stream, version: found, id, name, time, actor, schema, body, correlation };
        let entry = entry.in_form(row.form.unwrap_or_default().unsigned_abs());
        if let Some((position, leaf)) = placed
            && entry.leaf() != leaf
        {
            self.problem(Problem::Leaf { position: position.0, event: id });
        }
        if let Err(why) = readable(stream, actor, name, schema, body) {
            self.problem(Problem::Unreadable { event: id, why });
        }
        if let Ok(body) = serde_json::from_slice(body) {
            self.references(id, &body);
        }
        true
    }

    /// Finds every `{ref, commit}` of a body.
    fn references(&mut self, event: EventId, body: &Value) {
        match body {
            Value::Object(fields) => {
                if let (Some(Value::String(text)), Some(Value::String(commit))) =
                    (fields.get("ref"), fields.get("commit"))
                    && let Ok(text) = Uuid::try_parse(text)
                {
                    self.references.insert(text, (event, commit.clone()));
                }
                fields.values().for_each(|value| self.references(event, value));
            }
            Value::Array(values) => values.iter().for_each(|value| self.references(event, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    async fn texts(&mut self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let mut rows =
            sqlx::query!("select id, salt, bytes from paddock.event_text").fetch(connection);
        let (mut there, mut unreferenced) = (0, 0);
        while let Some(row) = rows.try_next().await? {
            let Some((event, commit)) = self.references.get(&row.id) else {
                unreferenced += 1;
                continue;
            };
            there += 1;
            let salt = row.salt.try_into().unwrap_or_default();
            if commitment(&salt, &row.bytes) != *commit {
                let event = *event;
                self.problem(Problem::Text { text: row.id, event });
            }
        }
        if unreferenced > 0 {
            self.problem(Problem::Unreferenced(unreferenced));
        }
        Ok(there)
    }

    async fn batches(&mut self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let mut rows =
            sqlx::query!("select number, first, last from paddock.log_batch order by number")
                .fetch(connection);
        let (mut number, mut last) = (0, 0);
        while let Some(row) = rows.try_next().await? {
            number += 1;
            if row.number != number {
                let what = "does not follow the one before it";
                self.problem(Problem::Batch { number: row.number, what });
                number = row.number;
            }
            if row.first != last + 1 || row.last < row.first - 1 {
                let what = "does not begin where the one before it ends";
                self.problem(Problem::Batch { number, what });
            }
            last = row.last;
        }
        if last.unsigned_abs() != self.tree.size() {
            self.problem(Problem::Batch { number, what: "does not end where the log ends" });
        }
        Ok(number.unsigned_abs())
    }
}

fn readable(stream: &str, actor: &str, name: &str, schema: u16, body: &[u8]) -> Result<(), String> {
    let stream: StreamId = stream.parse().map_err(|_| "its stream has no known kind".to_owned())?;
    let _: Actor = actor.parse().map_err(|_| "its actor has no known form".to_owned())?;
    codec::decode(stream.kind, name, schema, body).map(drop).map_err(|error| error.to_string())
}
