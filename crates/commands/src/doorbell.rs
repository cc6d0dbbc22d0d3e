use std::sync::Arc;

use tokio::sync::watch;

/// Rings after every append of this process. A ring only wakes: whoever listens reads the tables to
/// see what there is, and polls beside, because other processes append too.
#[derive(Clone, Debug)]
pub struct Doorbell(Arc<watch::Sender<u64>>);

impl Doorbell {
    /// A bell that nobody has rung.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Wakes every listener.
    pub fn ring(&self) {
        self.0.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
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
