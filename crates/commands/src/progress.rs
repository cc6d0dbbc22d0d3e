//! How far sequencer and relay of this process are, and how they stand: for wake-ups, readiness and
//! metrics. Nothing is decided by it.

use std::sync::Arc;

use domain::ids::Position;
use tokio::sync::watch;

/// How a background part stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It has not got anywhere yet.
    #[default]
    Starting,
    /// Another process does the work; this one takes over when that one is gone.
    Standby,
    /// It works.
    Active,
    /// It waits for `paddock log adopt`, for this reason.
    Halted(String),
    /// It failed and tries again, for this reason.
    Down(String),
}

impl Standing {
    /// Failed, with all that led to it.
    pub(crate) fn down(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self::Down(text)
    }
}

/// Shared by sequencer, relay and whoever watches them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Channels>);

#[derive(Debug)]
struct Channels {
    head: watch::Sender<Position>,
    relayed: watch::Sender<Position>,
    sequencer: watch::Sender<Standing>,
    relay: watch::Sender<Standing>,
    signer: watch::Sender<Standing>,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            head: watch::Sender::new(Position::START),
            relayed: watch::Sender::new(Position::START),
            sequencer: watch::Sender::new(Standing::Starting),
            relay: watch::Sender::new(Standing::Starting),
            signer: watch::Sender::new(Standing::Starting),
        }
    }
}

impl Progress {
    /// Before anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest position that this process knows of; behind where another process is the sequencer.
    /// A change only wakes: readers of the log poll beside.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Position> {
        self.0.head.subscribe()
    }

    /// The newest position that this process relayed.
    #[must_use]
    pub fn relayed(&self) -> watch::Receiver<Position> {
        self.0.relayed.subscribe()
    }

    /// How the sequencer stands.
    #[must_use]
    pub fn sequencer(&self) -> watch::Receiver<Standing> {
        self.0.sequencer.subscribe()
    }

    /// How the relay stands.
    #[must_use]
    pub fn relay(&self) -> watch::Receiver<Standing> {
        self.0.relay.subscribe()
    }

    /// How the signer of checkpoints stands.
    #[must_use]
    pub fn signer(&self) -> watch::Receiver<Standing> {
        self.0.signer.subscribe()
    }

    pub(crate) fn set_head(&self, head: Position) {
        set(&self.0.head, head);
    }

    pub(crate) fn set_relayed(&self, relayed: Position) {
        set(&self.0.relayed, relayed);
    }

    pub(crate) fn set_sequencer(&self, standing: &Standing) {
        if set(&self.0.sequencer, standing.clone()) {
            report("sequencer", standing);
        }
    }

    pub(crate) fn set_relay(&self, standing: &Standing) {
        if set(&self.0.relay, standing.clone()) {
            report("relay", standing);
        }
    }
}

impl Progress {
    pub(crate) fn set_signer(&self, standing: &Standing) {
        if set(&self.0.signer, standing.clone()) {
            match standing {
                Standing::Halted(reason) => {
                    tracing::error!(
                        part = "signer",
                        reason,
                        "no checkpoint is signed until this is resolved"
                    );
                }
                other => report("signer", other),
            }
        }
    }
}

fn set<T: PartialEq>(sender: &watch::Sender<T>, value: T) -> bool {
    sender.send_if_modified(|current| {
        let changed = *current != value;
        *current = value;
        changed
    })
}

fn report(part: &str, standing: &Standing) {
    match standing {
        Standing::Starting => {}
        Standing::Standby => tracing::info!(part, "another process does the work"),
        Standing::Active => tracing::info!(part, "active"),
        Standing::Halted(reason) => {
            tracing::error!(part, reason, "halted until `paddock log adopt`");
        }
        Standing::Down(reason) => tracing::warn!(part, reason, "failed, tries again"),
    }
}
