use domain::{
    binding::{Grant, State},
    codec,
    event::Event,
    ids::{BindingId, EventId},
    stream::{StreamId, StreamKind},
};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{StoreError, handler::work::fold_binding};

/// A binding that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its id.
    pub id: BindingId,
    /// What it gives to whom.
    pub grant: Grant,
}

/// How many events all bindings have: they are never fewer, so another number is another state.
pub(super) async fn edition(executor: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    // A range, not `like`: whatever its collation, the database can use the index on streams for it.
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from paddock.event
           where stream >= 'binding-' and stream < 'binding.'"#
    )
    .fetch_one(executor)
    .await
}

/// Every binding that holds, as it is committed now.
pub(super) async fn all(executor: impl PgExecutor<'_>) -> Result<(i64, Vec<Binding>), StoreError> {
    let rows = sqlx::query!(
        "select id, stream, name, schema, body from paddock.event
         where stream >= 'binding-' and stream < 'binding.' order by stream, version"
    )
    .fetch_all(executor)
    .await?;
    let edition = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let mut events: Vec<(Uuid, Vec<Event>)> = vec![];
    for row in rows {
        let id = EventId(row.id);
        let stream: StreamId =
            row.stream.parse().map_err(|_| StoreError::Row { id, what: "a stream" })?;
        let schema = row.schema.unsigned_abs();
        let event = codec::decode(StreamKind::Binding, &row.name, schema, &row.body)
            .map_err(|source| StoreError::Decode { id, source })?;
        match events.last_mut() {
            Some((last, own)) if *last == stream.id => own.push(event),
            Some(_) | None => events.push((stream.id, vec![event])),
        }
    }
    let bindings = events.into_iter().filter_map(|(id, events)| match fold_binding(&events) {
        State::Granted(grant) => Some(Binding { id: BindingId(id), grant }),
        State::New | State::Revoked => None,
    });
    Ok((edition, bindings.collect()))
}
