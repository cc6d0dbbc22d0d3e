//! Snapshots from their taking until they are stored. One that the store does not take is held on to, and tried again
//! until a newer one takes its place.

use std::time::Duration;

use domain::{
    ids::BundleDigest,
    run::{Hindrance, SnapshotCause},
};
use link::{Fact, SnapshotUpload};
use reqwest::Body;
use tokio::time::{Instant, sleep};

use super::Work;
use crate::SidecarError;

/// For how long whatever waits for a snapshot waits, before it goes on without it.
const TURN: Duration = Duration::from_secs(6);
/// The same before a push: a workload that takes over goes on from what is in a snapshot.
const BEFORE_PUSH: Duration = Duration::from_secs(30);
/// The same before the end of a pod that is told to end: it has two minutes for it.
const STOP: Duration = Duration::from_secs(90);
/// The same before the end of the run, which the control plane ends after three minutes.
const FINAL: Duration = Duration::from_secs(165);
/// For how long a run waits for the bundle that it is to go on from.
const RESTORE: Duration = Duration::from_mins(10);
/// The shortest and the longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// A snapshot that was taken and is not stored.
pub(super) struct Held {
    taken: SnapshotUpload,
    pause: Duration,
    next: Instant,
    said: Option<Hindrance>,
}

/// What waits for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// The next look at the agent.
    Anything,
    /// The push.
    Push,
    /// The end of the pod.
    Stop,
    /// The end of the run.
    End,
}

impl Before {
    const fn patience(self) -> Duration {
        match self {
            Self::Anything => TURN,
            Self::Push => BEFORE_PUSH,
            Self::Stop => STOP,
            Self::End => FINAL,
        }
    }
}

impl Work {
    /// Takes a snapshot, stores and reports it. One that cannot be taken is taken at the next occasion, and one that
    /// cannot be stored is tried again meanwhile; only the last one matters to the run's end.
    pub(super) async fn snapshot(
        &mut self,
        cause: SnapshotCause,
        before: Before,
    ) -> Result<(), SidecarError> {
        let until = Instant::now() + before.patience();
        self.last_snapshot = Instant::now();
        let said = self.held.take().and_then(|held| held.said);
        let parent = self.journal.notes.bundle.clone();
        let kept = match self.store.take(&self.harness, parent, cause).await {
            Ok(taken) => {
                self.changed = false;
                let next = Instant::now();
                self.held = Some(Held { taken, pause: FIRST_PAUSE, next, said });
                self.keep_held(until).await
            }
            Err(error) => Err(error),
        };
        match kept {
            Err(error) if before != Before::End => {
                tracing::warn!(%error, held = self.held.is_some(), "no snapshot this time");
                Ok(())
            }
            kept => kept,
        }
    }

    /// Tries again to store what is held, if that is due.
    pub(super) async fn try_held(&mut self) -> Result<(), SidecarError> {
        if self.given_up || self.held.as_ref().is_none_or(|held| held.next > Instant::now()) {
            return Ok(());
        }
        match self.try_once().await {
            Err(error @ SidecarError::Spool(_)) => Err(error),
            Err(error) => {
                tracing::info!(%error, "the snapshot waits");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Opens the bundle to go on from, once the store gives it.
    pub(super) async fn bundle(&self, digest: &BundleDigest) -> Result<Body, SidecarError> {
        let until = Instant::now() + RESTORE;
        let (mut pause, mut said) = (FIRST_PAUSE, false);
        loop {
            let error = match self.store.open(digest).await {
                Ok(body) => return Ok(body),
                Err(error @ (SidecarError::Store(_) | SidecarError::Away(_)))
                    if Instant::now() < until =>
                {
                    error
                }
                Err(error) => return Err(error),
            };
            if let (SidecarError::Store(reason), false) = (&error, said) {
                said = true;
                self.say(Fact::SnapshotWaits { reason: *reason })?;
            }
            tracing::info!(%error, "the bundle to go on from waits");
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn keep_held(&mut self, until: Instant) -> Result<(), SidecarError> {
        loop {
            let Err(error) = self.try_once().await else { return Ok(()) };
            let Some(held) = &self.held else { return Err(error) };
            if held.next > until {
                return Err(error);
            }
            tracing::info!(%error, "the snapshot waits");
            sleep(held.next.saturating_duration_since(Instant::now())).await;
        }
    }

    /// One try. What can come to nothing is not held any longer.
    async fn try_once(&mut self) -> Result<(), SidecarError> {
        let Some(mut held) = self.held.take() else { return Ok(()) };
        let error = match self.store.keep(&held.taken).await {
            Ok(()) => {
                let digest = held.taken.digest.clone();
                self.say(Fact::SnapshotStored { upload: held.taken })?;
                self.journal.note(|notes| notes.bundle = Some(digest))?;
                return Ok(());
            }
            Err(error) => error,
        };
        match &error {
            SidecarError::Store(reason) if held.said != Some(*reason) => {
                held.said = Some(*reason);
                self.say(Fact::SnapshotWaits { reason: *reason })?;
            }
            // What the control plane is told when it is away it hears too late.
            SidecarError::Store(_) | SidecarError::Away(_) => {}
            _ => {
                // What was in it is not stored: it is in the next one.
                self.changed = true;
                return Err(error);
            }
        }
        held.next = Instant::now() + held.pause;
        held.pause = (held.pause * 2).min(LAST_PAUSE);
        self.held = Some(held);
        Err(error)
    }
}
