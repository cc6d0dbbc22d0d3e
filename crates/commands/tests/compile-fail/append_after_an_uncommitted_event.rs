//! An append of version n + 1 while n is not committed cannot be expressed: the only function that gives
//! out n's version gives it out after its commit, and the version before is gone by then.

use commands::{
    Context,
    store::{Append, AppendError, append, load},
};
use domain::{
    actor::{Event, SignIn},
    event::{Actor, Part},
    stream::StreamId,
};
use sqlx::PgPool;

async fn two_at_once(pool: &PgPool, context: &Context) -> Result<(), AppendError> {
    let actor = Actor::System(Part::Operator);
    let signed_in = || vec![Event::SignedIn { method: SignIn::OneTimeLink }.into()];
    let loaded = load(pool, StreamId::LOG).await?;
    let first = append(pool, context, actor, Append { after: loaded.version, events: signed_in() }, &[]);
    let second = append(pool, context, actor, Append { after: loaded.version, events: signed_in() }, &[]);
    first.await?;
    second.await?;
    Ok(())
}

fn main() {}
