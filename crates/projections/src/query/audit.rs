//! The record itself: events by who, what, where and when, and what follows from them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    codec::decode,
    event::{Event, Recorded},
    ids::{CorrelationId, EventId, RunId, StreamVersion},
    stream::StreamKind,
};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Cursor, NotACursor, Page, Views};
use crate::{ViewError, model::BindingRow};

/// Which events of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By whom: `user:<id>`, `pod:<run>/<generation>`, `system:<part>`, `kubernetes:<id>`.
    pub actor: Option<String>,
    /// About what: the stream `<kind>-<id>`, or, of a refusal, the one that it was for.
    pub target: Option<String>,
    /// Of this type, such as `run.requested`; with a `*` at its end, of all that begin so.
    pub kind: Option<String>,
    /// Refusals alone, or all but these.
    pub refused: Option<bool>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

/// An event as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the log; none for the moment before it has one.
    pub position: Option<u64>,
    /// Its id.
    pub id: EventId,
    /// Its stream's name.
    pub stream: String,
    /// Its place in that.
    pub version: StreamVersion,
    /// Its wire name.
    pub kind: String,
    /// The version of its body's schema.
    pub schema: u16,
    /// Who caused it.
    pub actor: String,
    /// When.
    pub time: DateTime<Utc>,
    /// The command that it belongs to.
    pub correlation: CorrelationId,
    /// Its body, the exact bytes.
    pub body: Vec<u8>,
    /// Which form its leaf has.
    pub form: u16,
}

/// An event with what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStory {
    /// The event.
    pub event: AuditRow,
    /// What the same command recorded, in order, without the event.
    pub command: Vec<AuditRow>,
    /// The one before it in its stream.
    pub before: Option<AuditRow>,
    /// Those after it in its stream, the first ones.
    pub after: Vec<AuditRow>,
    /// What named its stream elsewhere since, the first ones: what began from it.
    pub elsewhere: Vec<AuditRow>,
}

/// How many of the events after one are told.
const AFTER: i64 = 10;
/// How many events one look for what names a stream reads, at most.
const LOOK: i64 = 20_000;

const REFUSED: &str = "actor.command.refused";
const COLUMNS: &str =
    "select l.position, e.id, e.stream, e.version, e.name, e.schema, e.actor, e.time,
    e.correlation, e.body, l.form from paddock.event e";

#[derive(sqlx::FromRow)]
struct Row {
    position: Option<i64>,
    id: Uuid,
    stream: String,
    version: i64,
    name: String,
    schema: i16,
    actor: String,
    time: DateTime<Utc>,
    correlation: Uuid,
    body: Vec<u8>,
    form: Option<i16>,
}

impl From<Row> for AuditRow {
    fn from(row: Row) -> Self {
        Self {
            position: row.position.map(i64::unsigned_abs),
            id: EventId(row.id),
            stream: row.stream,
            version: StreamVersion(row.version.unsigned_abs()),
            kind: row.name,
            schema: row.schema.unsigned_abs(),
            actor: row.actor,
            time: row.time,
            correlation: CorrelationId(row.correlation),
            body: row.body,
            form: row.form.unwrap_or_default().unsigned_abs(),
        }
    }
}

impl AuditFilter {
    fn list(&self) -> String {
        format!("audit {self:?}")
    }

    fn push_to(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(actor) = &self.actor {
            query.push(" and e.actor = ").push_bind(actor.clone());
            // Says to the planner what the index of these says.
            if actor.starts_with("user:") {
                query.push(" and e.actor like 'user:%'");
            } else if actor.starts_with("kubernetes:") {
                query.push(" and e.actor like 'kubernetes:%'");
            }
        }
        if let Some(target) = &self.target {
            query.push(" and (e.stream = ").push_bind(target.clone());
            query.push(format!(" or (e.name = '{REFUSED}' and position(convert_to("));
            query.push_bind(format!("\"target\":\"{target}\"")).push(", 'UTF8') in e.body) > 0))");
        }
        if let Some(kind) = &self.kind {
            match kind.strip_suffix('*') {
                Some(begin) => {
                    query.push(" and starts_with(e.name, ").push_bind(begin.to_owned()).push(")");
                }
                None => {
                    query.push(" and e.name = ").push_bind(kind.clone());
                }
            }
        }
        match self.refused {
            Some(true) => query.push(format!(" and e.name = '{REFUSED}'")),
            Some(false) => query.push(format!(" and e.name <> '{REFUSED}'")),
            None => query,
        };
        if let Some(since) = self.since {
            query.push(" and e.time >= ").push_bind(since);
        }
        if let Some(until) = self.until {
            query.push(" and e.time < ").push_bind(until);
        }
    }
}

impl Views {
    /// Events of the record, the newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<AuditRow>, NotACursor>, ViewError> {
        let list = filter.list();
        let before = match cursor {
            None => i64::MAX,
            Some(cursor) => match Cursor::key(&list, cursor) {
                Ok(before) => before,
                Err(error) => return Ok(Err(error)),
            },
        };
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" join paddock.log l on l.event = e.id where l.position < ").push_bind(before);
        filter.push_to(&mut query);
        query.push(" order by l.position desc limit ").push_bind(i64::from(limit) + 1);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        let mut items: Vec<AuditRow> = rows.into_iter().map(AuditRow::from).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let last = items.last().and_then(|row| row.position);
        let next = last.filter(|_| more).map(|position| Cursor::after(&list, position));
        Ok(Ok(Page { items, next }))
    }

    /// One event by its position.
    pub async fn audit_event(&self, position: u64) -> Result<Option<AuditRow>, ViewError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" join paddock.log l on l.event = e.id where l.position = ");
        query.push_bind(position.cast_signed());
        let row: Option<Row> = query.build_query_as().fetch_optional(&self.pool).await?;
        Ok(row.map(AuditRow::from))
    }

    /// One event with its cause and its effects.
    pub async fn audit_story(&self, position: u64) -> Result<Option<AuditStory>, ViewError> {
        let Some(event) = self.audit_event(position).await? else { return Ok(None) };
        // The events of one command were appended by one transaction, of which there is an index.
        let command = self
            .rows(" where e.xid = (select xid from paddock.event where id = ", |query| {
                query.push_bind(event.id.0).push(") and e.correlation = ");
                query.push_bind(event.correlation.0).push(" and e.id <> ").push_bind(event.id.0);
                query.push(" order by e.seq limit 200");
            })
            .await?;
        let version = event.version.0.cast_signed();
        let around = |from: i64, to: i64| {
            let stream = event.stream.clone();
            move |query: &mut QueryBuilder<Postgres>| {
                query.push_bind(stream).push(" and e.version >= ").push_bind(from);
                query.push(" and e.version <= ").push_bind(to).push(" order by e.version");
            }
        };
        let before = self.rows(" where e.stream = ", around(version - 1, version - 1)).await?;
        let after = self.rows(" where e.stream = ", around(version + 1, version + AFTER)).await?;
        let elsewhere = self.elsewhere(&event, position).await?;
        Ok(Some(AuditStory { command, before: before.into_iter().next(), after, elsewhere, event }))
    }

    /// Events of other streams that name this one's, of the next ones after it.
    async fn elsewhere(&self, event: &AuditRow, position: u64) -> Result<Vec<AuditRow>, ViewError> {
        let Some((_, id)) = event.stream.split_once('-') else { return Ok(vec![]) };
        if id.starts_with("00000000-") {
            return Ok(vec![]);
        }
        self.rows(" where l.position > ", |query| {
            query.push_bind(position.cast_signed()).push(" and l.position <= ");
            query.push_bind(position.cast_signed() + LOOK).push(" and e.stream <> ");
            query.push_bind(event.stream.clone()).push(" and e.correlation <> ");
            query.push_bind(event.correlation.0);
            query.push(" and position(convert_to(").push_bind(id.to_owned());
            query.push(", 'UTF8') in e.body) > 0 order by l.position limit ").push_bind(AFTER);
        })
        .await
    }

    async fn rows(
        &self,
        condition: &str,
        more: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) -> Result<Vec<AuditRow>, ViewError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" left join paddock.log l on l.event = e.id").push(condition);
        more(&mut query);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }
}

/// What runs are looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blast {
    /// Those that could reach any public host at some time between the two.
    FullEgress {
        /// From.
        since: DateTime<Utc>,
        /// To.
        until: DateTime<Utc>,
    },
    /// Those that used a credential.
    Credential(Uuid),
    /// Those of which a container ran that image: its digest, or the beginning of it.
    Image(String),
}

/// A run that was found, and what it was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlastRow {
    /// The run.
    pub run: RunId,
    /// Since when it was so.
    pub since: DateTime<Utc>,
    /// Until when; none where it is so still, or where it is about a moment.
    pub until: Option<DateTime<Utc>>,
    /// The position of the event that says so.
    pub position: Option<u64>,
}

impl Views {
    /// The runs that something may have reached, the newest first; at most 10,000.
    pub async fn blast(&self, by: &Blast) -> Result<Vec<BlastRow>, ViewError> {
        type Found = (String, DateTime<Utc>, Option<DateTime<Utc>>, Option<i64>);
        let sql = match by {
            // Each stretch of full egress ends with the next change of the mode, or with the run.
            Blast::FullEgress { .. } => {
                "select e.stream, e.time as since, (
                   select min(n.time) from paddock.event n where n.stream = e.stream and n.version > e.version
                     and n.name in ('run.egress.mode.changed', 'run.succeeded', 'run.failed', 'run.cancelled')
                 ) as until, l.position
                 from paddock.event e left join paddock.log l on l.event = e.id
                 where e.name = 'run.egress.mode.changed' and e.time < $2
                   and convert_from(e.body, 'UTF8')::jsonb ->> 'mode' = 'full'"
            }
            Blast::Credential(_) => {
                "select e.stream, min(e.time) as since, max(e.time) as until, min(l.position) as position
                 from paddock.event e left join paddock.log l on l.event = e.id
                 where e.name = 'run.credential.used'
                   and convert_from(e.body, 'UTF8')::jsonb ->> 'credential' = $1 group by e.stream"
            }
            Blast::Image(_) => {
                "select e.stream, min(e.time) as since, null::timestamptz as until, min(l.position) as position
                 from paddock.event e left join paddock.log l on l.event = e.id
                 where e.name = 'run.workload.observed' and exists (
                   select from jsonb_array_elements(convert_from(e.body, 'UTF8')::jsonb -> 'images') image
                   where starts_with(image ->> 'digest', $1)) group by e.stream"
            }
        };
        let rows: Vec<Found> = match by {
            Blast::FullEgress { since, until } => {
                let sql = format!(
                    "select * from ({sql}) x where until is null or until > $1 order by since desc limit 10000"
                );
                sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(since)
                    .bind(until)
                    .fetch_all(&self.pool)
                    .await?
            }
            Blast::Credential(id) => self.found(sql, id.to_string()).await?,
            Blast::Image(digest) => self.found(sql, digest.clone()).await?,
        };
        let row = |(stream, since, until, position): Found| {
            let id = stream.strip_prefix("run-")?.parse().ok()?;
            Some(BlastRow {
                run: RunId(id),
                since,
                until,
                position: position.map(i64::unsigned_abs),
            })
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }

    async fn found<R>(&self, sql: &str, by: String) -> Result<Vec<R>, ViewError>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let sql = format!("{sql} order by since desc limit 10000");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(by).fetch_all(&self.pool).await?)
    }

    /// The role bindings that held at a time, by what the log says.
    pub async fn bindings_at(&self, at: DateTime<Utc>) -> Result<Vec<BindingRow>, ViewError> {
        let rows = self
            .rows(
                " where e.stream >= 'binding-' and e.stream < 'binding.' and e.time <= ",
                |query| {
                    query.push_bind(at).push(" order by e.stream, e.version");
                },
            )
            .await?;
        let mut bindings: BTreeMap<String, BindingRow> = BTreeMap::new();
        for row in rows {
            let (Ok(stream), Ok(actor)) = (row.stream.parse(), row.actor.parse()) else { continue };
            let decoded = decode(StreamKind::Binding, &row.kind, row.schema, &row.body);
            let Ok(Event::Binding(event)) = decoded else { continue };
            let recorded = Recorded {
                id: row.id,
                stream,
                version: row.version,
                actor,
                time: row.time,
                correlation: row.correlation,
                event: Event::Binding(event.clone()),
            };
            let before = bindings.remove(&row.stream);
            if let Some(after) = BindingRow::after(before, &recorded, &event) {
                bindings.insert(row.stream, after);
            }
        }
        Ok(bindings.into_values().filter(|binding| binding.holds).collect())
    }
}
