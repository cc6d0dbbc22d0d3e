//! Refused commands: part of the audit trail, in the stream of whoever tried.

use chrono::TimeDelta;
use domain::{
    actor::{self, Refused},
    event::{Actor, Event},
    stream::{StreamId, StreamKind},
};

use crate::{Caused, CommandError, Commands, StoreError};

/// How long repeats of a refusal are counted before they become one event.
const FOLD: TimeDelta = TimeDelta::seconds(60);

impl Commands {
    /// Records that a command of `actor` was refused. The first one is appended at once; repeats of the
    /// same refusal within a minute are counted, and a flush appends
    /// them as one event when the minute is over. The control plane's own parts have no such trail.
    pub async fn refused(
        &self,
        actor: Actor,
        command: &str,
        target: Option<StreamId>,
        code: &str,
        request: &str,
    ) -> Result<(), StoreError> {
        let Some(stream) = trail(actor) else { return Ok(()) };
        let target = target.map(|stream| stream.to_string());
        let now = self.context.now();
        // A row older than a minute that counted nothing is begun anew; one that counted something
        // goes on counting until the flush has it.
        let repeats = sqlx::query_scalar!(
            "insert into runtime.refusal as r (actor, command, target, code, since, repeats, request)
             values ($1, $2, $3, $4, $5, 0, '')
             on conflict (actor, command, target, code) do update set
               since = case when r.repeats = 0 and r.since <= $6 then excluded.since else r.since end,
               repeats = case when r.repeats = 0 and r.since <= $6 then 0 else r.repeats + 1 end,
               request = case when r.repeats = 0 then $7 else r.request end
             returning repeats",
            actor.to_string(),
            command,
            target.as_deref().unwrap_or_default(),
            code,
            now,
            now - FOLD,
            request,
        )
        .fetch_one(&self.pool)
        .await?;
        if repeats > 0 {
            return Ok(());
        }
        let refused = Refused {
            command: command.to_owned(),
            target,
            code: code.to_owned(),
            request: request.to_owned(),
            count: 1,
        };
        self.append_refused(stream, actor, refused).await
    }

    async fn append_refused(
        &self,
        stream: StreamId,
        actor: Actor,
        refused: Refused,
    ) -> Result<(), StoreError> {
        let event = Event::Actor(actor::Event::CommandRefused(refused));
        match self.append_any(stream, event, &Caused::by(actor)).await {
            Err(CommandError::Store(error)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The stream that an actor's refusals go to: a person's own, a pod's under the id of its run.
fn trail(actor: Actor) -> Option<StreamId> {
    match actor {
        Actor::User(id) => Some(id.into()),
        Actor::Pod(run, _) => Some(StreamId { kind: StreamKind::Actor, id: run.0 }),
        Actor::System(_) => None,
    }
}
