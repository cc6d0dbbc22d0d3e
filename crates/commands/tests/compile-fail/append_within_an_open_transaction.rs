//! What a transaction has not committed gives out no version to append after.

use commands::{Context, store::{Append, append, load}};
use domain::{event::{Actor, Part}, stream::StreamId};
use sqlx::PgPool;

async fn appended_in_a_transaction(pool: &PgPool, context: &Context) {
    let mut tx = pool.begin().await.unwrap();
    let loaded = load(&mut *tx, StreamId::LOG).await.unwrap();
    let append_it = Append { after: loaded.version, events: vec![] };
    append(&mut *tx, context, Actor::System(Part::Operator), append_it, &[]).await.unwrap();
}

fn main() {}
