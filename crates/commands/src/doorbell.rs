use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::stream::StreamId;
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
    /// For those who listen for one stream: a thousand of them are not to wake at each append.
    streams: Mutex<HashMap<StreamId, watch::Sender<u64>>>,
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
        add_one(&self.0.here);
        self.ring_here();
    }

    /// The same after an append to this stream alone, of which those who listen for another one hear nothing here.
    pub fn ring_for(&self, stream: StreamId) {
        add_one(&self.0.here);
        add_one(&self.0.anywhere);
        if let Some(listeners) = self.streams().get(&stream) {
            add_one(listeners);
        }
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener { rings: self.0.anywhere.subscribe(), of: None }
    }

    /// Listens from now on for what may have been appended to one stream.
    #[must_use]
    pub fn listen_for(&self, stream: StreamId) -> Listener {
        let rings = self.streams().entry(stream).or_default().subscribe();
        Listener { rings, of: Some((self.clone(), stream)) }
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
        add_one(&self.0.anywhere);
        self.streams().values().for_each(add_one);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamId, watch::Sender<u64>>> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_one(rings: &watch::Sender<u64>) {
    rings.send_modify(|rings| *rings = rings.wrapping_add(1));
}

/// Hears a [`Doorbell`].
#[derive(Debug)]
pub struct Listener {
    rings: watch::Receiver<u64>,
    /// The stream that it listens for, if it is one alone.
    of: Option<(Doorbell, StreamId)>,
}

impl Listener {
    /// Returns at the first ring since the last call; never, once the bell is gone. Cancel safe.
    pub async fn rung(&mut self) {
        if self.rings.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some((bell, stream)) = self.of.take() else { return };
        let mut streams = bell.streams();
        // This one still counts.
        if streams.get(&stream).is_some_and(|listeners| listeners.receiver_count() <= 1) {
            streams.remove(&stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::RunId;
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn stream(n: u128) -> StreamId {
        RunId(Uuid::from_u128(n)).into()
    }

    fn hears(listener: &mut Listener) -> bool {
        listener.rung().now_or_never().is_some()
    }

    #[test]
    fn who_listens_for_one_stream_hears_of_no_other_one() {
        let bell = Doorbell::new();
        let (mut all, mut one) = (bell.listen(), bell.listen_for(stream(1)));
        bell.ring_for(stream(2));
        assert!(hears(&mut all) && !hears(&mut one));
        bell.ring_for(stream(1));
        assert!(hears(&mut all) && hears(&mut one));
        // Nobody says which stream it was.
        bell.ring();
        assert!(hears(&mut all) && hears(&mut one));
    }

    #[test]
    fn of_those_who_listen_no_more_nothing_is_kept() {
        let bell = Doorbell::new();
        let (first, mut second) = (bell.listen_for(stream(1)), bell.listen_for(stream(1)));
        drop(first);
        bell.ring_for(stream(1));
        assert!(hears(&mut second));
        drop(second);
        assert!(bell.streams().is_empty());
    }
}
