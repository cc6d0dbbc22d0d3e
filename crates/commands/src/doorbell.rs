use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Rings after every append. A ring only wakes: whoever listens reads the tables to see what there is,
/// and polls beside, because a ring may be lost.
#[derive(Clone, Debug, Default)]
pub struct Doorbell(Arc<Bells>);

#[derive(Debug, Default)]
struct Bells {
    /// Appends of this process.
    here: watch::Sender<u64>,
    /// Those and what other processes told of.
    anywhere: watch::Sender<u64>,
}

/// The core NATS subject that processes tell each other of appends on.
const SUBJECT: &str = "paddock.bell";

/// The shortest time between two such messages.
const SPACING: Duration = Duration::from_millis(5);

impl Doorbell {
    /// A bell that nobody has rung.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes every listener, here and (where [`join`](Self::join) runs) in other processes.
    pub fn ring(&self) {
        self.0.here.send_modify(|rings| *rings = rings.wrapping_add(1));
        self.ring_here();
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.anywhere.subscribe())
    }

    /// Joins this bell with those of other processes by core NATS, until told to stop. Without it, or
    /// while NATS is away, other processes notice appends by polling.
    pub async fn join(&self, client: async_nats::Client, shutdown: CancellationToken) {
        let mut here = self.0.here.subscribe();
        let Ok(mut there) = client.subscribe(SUBJECT).await else { return };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                message = there.next() => match message {
                    Some(_) => self.ring_here(),
                    None => return,
                },
                rung = here.changed() => {
                    if rung.is_err() || client.publish(SUBJECT, Bytes::new()).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(SPACING).await;
                }
            }
        }
    }

    fn ring_here(&self) {
        self.0.anywhere.send_modify(|rings| *rings = rings.wrapping_add(1));
    }
}

/// Hears a [`Doorbell`].
#[derive(Clone, Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns at the first ring since the last call; never, once the bell is gone. Cancel safe.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
