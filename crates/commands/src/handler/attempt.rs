//! The one place where a command is tried, and tried again when somebody else was faster.

use std::{mem, time::Duration};

use domain::{event::Event, stream::StreamId};
use sqlx::PgConnection;

use crate::{
    Accepted, Caused, CommandError, Commands,
    handler::{
        recent::{Recent, Remembered},
        work::{Plan, Work},
    },
    store::{
        Append, AppendError,
        append::{KeyRow, Unit},
        key::first_answer,
        load::head_on,
    },
};

/// How often a command is tried before the caller is told that the stream is contended.
const ATTEMPTS: u32 = 12;

impl Commands {
    /// Tries until it is appended, answered or refused. A refusal goes to the actor's own stream.
    pub(crate) async fn handle(
        &self,
        work: Work,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        let answer = self.attempts(&work, &caused).await;
        if let Err(error) = &answer
            && let Some(code) = error.refusal()
        {
            let (target, command) = work.audited();
            self.refused(caused.actor, command, target, code, &caused.request).await?;
        }
        answer
    }

    async fn attempts(&self, work: &Work, caused: &Caused) -> Result<Accepted, CommandError> {
        let mut connection = self.pool.acquire().await?;
        for attempt in 1..=ATTEMPTS {
            match self.once(&mut connection, work, caused, Some(&self.recent)).await {
                Err(CommandError::Contended) => self.back_off(attempt).await,
                Ok(accepted) => {
                    self.doorbell.ring_for(accepted.stream);
                    return Ok(accepted);
                }
                Err(error) => return Err(error),
            }
        }
        Err(CommandError::Contended)
    }

    /// One attempt within a caller's transaction. A failed insert would end that, so that the idempotency
    /// key is looked up first.
    pub(crate) async fn in_tx(
        &self,
        connection: &mut PgConnection,
        work: &Work,
        caused: &Caused,
    ) -> Result<Accepted, CommandError> {
        if let Some(key) = &caused.idempotency
            && let Some(first) = first_answer(&mut *connection, caused.actor, key).await?
        {
            return Ok(first);
        }
        // The caller's transaction may not commit: what it appends is not to be remembered.
        self.once(connection, work, caused, None).await
    }

    /// One attempt. The idempotency key is looked up only where the answer depends on it: in the usual
    /// case it is inserted with the events, and a key that is there already makes that fail.
    async fn once(
        &self,
        connection: &mut PgConnection,
        work: &Work,
        caused: &Caused,
        recent: Option<&Recent>,
    ) -> Result<Accepted, CommandError> {
        let remembered = recent
            .filter(|_| caused.texts.is_empty())
            .and_then(|recent| work.recall(recent))
            .and_then(|remembered| work.plan_on(remembered))
            .filter(|plan| {
                plan.decided.is_ok() && plan.is_one_event() && matched(plan, caused).is_ok()
            });
        let mut plan = match remembered {
            Some(plan) => plan,
            None => work.plan(connection).await?,
        };
        if let Err(error) = matched(&plan, caused).and(mem::replace(&mut plan.decided, Ok(()))) {
            // The first request with this key may be what made it so.
            return match &caused.idempotency {
                Some(key) => first_answer(connection, caused.actor, key).await?.ok_or(error),
                None => Err(error),
            };
        }
        let after = if plan.is_one_event() { plan.after() } else { None };
        let remembered = plan.remembered;
        let unit = Unit::new(&self.context, caused.actor, plan.appends, &caused.texts);
        let accepted = Accepted {
            stream: work.stream(),
            version: unit.head(0),
            replayed: false,
            target: work.target(),
        };
        let key = caused.idempotency.as_ref().map(|idempotency| KeyRow {
            idempotency,
            stream: accepted.stream.to_string(),
            version: accepted.version,
            target: accepted.target,
        });
        if unit.is_empty() && key.is_none() {
            return Ok(accepted);
        }
        let inserted = match remembered {
            Some(before) => {
                unit.insert_after_remembered(&mut *connection, key.as_ref(), before).await
            }
            None => unit.insert(&mut *connection, key.as_ref()).await,
        };
        match inserted {
            Ok(()) => {
                if let (Some(recent), Some(known), Some(event)) = (recent, after, unit.last()) {
                    let version = accepted.version;
                    recent.keep(accepted.stream, Remembered { known, version, event });
                }
                Ok(accepted)
            }
            Err(AppendError::VersionTaken) => Err(CommandError::Contended),
            Err(AppendError::Store(error)) => Err(error.into()),
            Err(AppendError::KeyTaken) => match &caused.idempotency {
                Some(key) => first_answer(connection, caused.actor, key)
                    .await?
                    .ok_or(CommandError::Contended),
                None => Err(CommandError::Contended),
            },
        }
    }

    /// Appends an event that follows whatever is in its stream.
    pub(crate) async fn append_any(
        &self,
        stream: StreamId,
        event: Event,
        caused: &Caused,
    ) -> Result<(), CommandError> {
        for attempt in 1..=ATTEMPTS {
            let after = head_on(&self.pool, stream).await?;
            let append = Append { after, events: vec![event.clone()] };
            let unit = Unit::new(&self.context, caused.actor, vec![append], &caused.texts);
            match unit.insert(&self.pool, None).await {
                Ok(()) => {
                    self.doorbell.ring_for(stream);
                    return Ok(());
                }
                Err(AppendError::Store(error)) => return Err(error.into()),
                Err(AppendError::VersionTaken | AppendError::KeyTaken) => {
                    self.back_off(attempt).await;
                }
            }
        }
        Err(CommandError::Contended)
    }

    /// Waits a little longer each time, and not as long as the others.
    pub(super) async fn back_off(&self, attempt: u32) {
        let mut random = [0];
        self.context.entropy.bytes(&mut random);
        let most = 500 << attempt.min(7);
        let wait = u64::from(random[0]) * most / 255;
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

/// Whether the caller's `If-Match` is about the version that the plan follows.
fn matched(plan: &Plan, caused: &Caused) -> Result<(), CommandError> {
    let actual = plan.appends.get(plan.if_match).map(|append| append.after.get());
    match (caused.if_match, actual) {
        (Some(expected), Some(actual)) if expected != actual => {
            Err(CommandError::IfMatch { actual })
        }
        _ => Ok(()),
    }
}
