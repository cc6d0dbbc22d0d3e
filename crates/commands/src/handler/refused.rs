//! Refused commands: part of the audit trail, in the stream of whoever tried.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    actor::{self, Refused},
    event::{Actor, Event},
    stream::{StreamId, StreamKind},
};
use sqlx::{Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use crate::{
    Commands, StoreError,
    store::{Append, AppendError, append::Unit, load::head_on},
};

/// How long repeats of a refusal are counted before they become one event.
const FOLD: TimeDelta = TimeDelta::seconds(60);

/// How often the flush looks.
const FLUSH: Duration = Duration::from_secs(5);

/// How often an append to the trail is tried: others append to the same stream.
const ATTEMPTS: u32 = 12;

impl Commands {
    /// Records that a command of `actor` was refused. The first one is appended at once; repeats of the
    /// same refusal within a minute are counted, and [`flush_refusals`](Self::flush_refusals) appends
    /// them as one event when the minute is over. The control plane's own parts have no such trail.
    pub async fn refused(
        &self,
        actor: Actor,
        command: &str,
        target: Option<StreamId>,
        code: &str,
        request: &str,
    ) -> Result<(), StoreError> {
        if trail(actor).is_none() {
            return Ok(());
        }
        let target = target.map(|stream| stream.to_string());
        let first = Refused {
            command: command.to_owned(),
            target,
            code: code.to_owned(),
            request: request.to_owned(),
            count: 1,
        };
        for attempt in 1..=ATTEMPTS {
            let mut tx = self.pool.begin().await?;
            if self.is_repeat(&mut tx, actor, &first).await? {
                tx.commit().await?;
                return Ok(());
            }
            if self.append_refused(&mut tx, actor, first.clone()).await? {
                tx.commit().await?;
                self.doorbell.ring();
                return Ok(());
            }
            tx.rollback().await?;
            self.back_off(attempt).await;
        }
        tracing::error!(%actor, command, code, "a refusal could not be appended to the actor's trail");
        Ok(())
    }

    /// Counts a refusal; says whether it is a repeat within the minute. A row whose minute is over and
    /// that counted nothing begins anew; one that counted something goes on until the flush has it.
    async fn is_repeat(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        actor: Actor,
        refused: &Refused,
    ) -> Result<bool, StoreError> {
        let now = self.context.now();
        let repeats = sqlx::query_scalar!(
            "insert into runtime.refusal as r (actor, command, target, code, since, repeats, request)
             values ($1, $2, $3, $4, $5, 0, '')
             on conflict (actor, command, target, code) do update set
               since = case when r.repeats = 0 and r.since <= $6 then excluded.since else r.since end,
               repeats = case when r.repeats = 0 and r.since <= $6 then 0 else r.repeats + 1 end,
               request = case when r.repeats = 0 then $7 else r.request end
             returning repeats",
            actor.to_string(),
            refused.command,
            refused.target.as_deref().unwrap_or_default(),
            refused.code,
            now,
            now - FOLD,
            refused.request,
        )
        .fetch_one(&mut **tx)
        .await?;
        Ok(repeats > 0)
    }

    /// Appends what was counted in minutes that are over. Says how many events that made.
    pub async fn flush_refusals(&self) -> Result<u32, StoreError> {
        let mut appended = 0;
        loop {
            let mut tx = self.pool.begin().await?;
            let over = self.context.now() - FOLD;
            let row = sqlx::query!(
                "delete from runtime.refusal where (actor, command, target, code) =
                   (select actor, command, target, code from runtime.refusal
                    where since <= $1 limit 1 for update skip locked)
                 returning actor, command, target, code, repeats, request",
                over,
            )
            .fetch_optional(&mut *tx)
            .await?;
            let Some(row) = row else { return Ok(appended) };
            if let Ok(actor) = row.actor.parse()
                && row.repeats > 0
            {
                let refused = Refused {
                    command: row.command,
                    target: Some(row.target).filter(|target| !target.is_empty()),
                    code: row.code,
                    request: row.request,
                    count: row.repeats.unsigned_abs(),
                };
                if !self.append_refused(&mut tx, actor, refused).await? {
                    // Somebody else appended to the trail just now: the next look has it.
                    return Ok(appended);
                }
                appended += 1;
            }
            tx.commit().await?;
            self.doorbell.ring();
        }
    }

    /// Flushes every few seconds until told to stop. Several processes may.
    pub async fn flush_refusals_until(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(FLUSH) => {}
            }
            if let Err(error) = self.flush_refusals().await {
                tracing::warn!(%error, "refusals could not be appended; they are counted further");
            }
        }
    }

    /// Appends within the transaction; false where the version was taken, and the transaction lost.
    async fn append_refused(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        actor: Actor,
        refused: Refused,
    ) -> Result<bool, StoreError> {
        let Some(stream) = trail(actor) else { return Ok(true) };
        let after = head_on(&mut **tx, stream).await?;
        let events = vec![Event::Actor(actor::Event::CommandRefused(refused))];
        let unit = Unit::new(&self.context, actor, vec![Append { after, events }], &[]);
        match unit.insert(&mut **tx, None).await {
            Ok(()) => Ok(true),
            Err(AppendError::VersionTaken | AppendError::KeyTaken) => Ok(false),
            Err(AppendError::Store(error)) => Err(error),
        }
    }
}

/// The stream that an actor's refusals go to: a person's own, a pod's under the id of its run.
fn trail(actor: Actor) -> Option<StreamId> {
    match actor {
        Actor::User(id) | Actor::Kubernetes(Some(id)) => Some(id.into()),
        Actor::Pod(run, _) => Some(StreamId { kind: StreamKind::Actor, id: run.0 }),
        Actor::System(_) | Actor::Kubernetes(None) => None,
    }
}
