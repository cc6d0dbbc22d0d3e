//! The link itself: dialled again whenever it breaks, sending what the spool holds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::ids::{Generation, StreamVersion};
use futures::{SinkExt as _, StreamExt as _};
use link::{Answered, Ask, Down, Instruction, Job, MAX_MESSAGE_BYTES, Up};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{
        self, Message, client::IntoClientRequest as _, http::HeaderValue, protocol::WebSocketConfig,
    },
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{snapshot::Identity, spool::Spool};

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(2);
/// A link on which nothing comes for this long is dead: the server pings every five seconds.
const SILENCE: Duration = Duration::from_secs(20);
/// How many frames may be under way.
const WINDOW: u64 = 256;

/// The spool, shared by whoever adds and the link that sends.
#[derive(Clone)]
pub(crate) struct Shared {
    spool: Arc<Mutex<Spool>>,
    changed: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(spool: Spool) -> Self {
        Self { spool: Arc::new(Mutex::new(spool)), changed: Arc::new(Notify::new()) }
    }

    /// Uses the spool, and lets the link look at it.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Spool) -> T) -> T {
        let result = use_it(&mut self.lock());
        self.changed.notify_waiters();
        self.changed.notify_one();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes from the server.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// What there is to do; at every new connection.
    Job(Box<Job>),
    /// Do this.
    Instruction(Instruction),
    /// Answer this.
    Ask(u64, Ask),
    /// Not wanted any more.
    Refused(String),
}

/// Where the link goes.
pub(crate) struct Dial {
    pub(crate) url: Url,
    pub(crate) identity: Identity,
    pub(crate) generation: Generation,
}

/// What the rest of the sidecar holds of the link.
pub(crate) struct Link {
    pub(crate) incoming: mpsc::UnboundedReceiver<Incoming>,
    pub(crate) answers: mpsc::UnboundedSender<(u64, Result<Answered, String>)>,
    /// Up to which version instructions are carried out: said at each new connection.
    pub(crate) done: watch::Sender<StreamVersion>,
    /// Since when there is no link; none while there is one.
    pub(crate) down_since: watch::Receiver<Option<Instant>>,
}

/// Keeps the link until told to stop.
pub(crate) fn keep(
    dial: Dial,
    shared: Shared,
    done: StreamVersion,
    stop: CancellationToken,
) -> Link {
    let (to_work, incoming) = mpsc::unbounded_channel();
    let (answers, mut from_work) = mpsc::unbounded_channel();
    let (done, done_rx) = watch::channel(done);
    let (down, down_since) = watch::channel(Some(Instant::now()));
    tokio::spawn(async move {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let version = *done_rx.borrow();
            let held = hold(&dial, &shared, version, &to_work, &mut from_work, &down);
            tokio::select! {
                result = held => match result {
                    Ok(Ended::NotWanted) => return,
                    Ok(Ended::TryAgain) => {}
                    Err(error) => tracing::info!(%error, "the link broke"),
                },
                () = stop.cancelled() => return,
            }
            if down.borrow().is_none() {
                down.send_replace(Some(Instant::now()));
                backoff = FIRST_BACKOFF;
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    });
    Link { incoming, answers, done, down_since }
}

enum Ended {
    NotWanted,
    TryAgain,
}

/// One connection, until it breaks.
async fn hold(
    dial: &Dial,
    shared: &Shared,
    done: StreamVersion,
    to_work: &mpsc::UnboundedSender<Incoming>,
    from_work: &mut mpsc::UnboundedReceiver<(u64, Result<Answered, String>)>,
    down: &watch::Sender<Option<Instant>>,
) -> Result<Ended, tungstenite::Error> {
    let mut request = dial.url.as_str().into_client_request()?;
    let identity = dial.identity.read().await?;
    let bearer = HeaderValue::from_str(&format!("Bearer {identity}"))
        .map_err(|error| tungstenite::Error::Io(std::io::Error::other(error)))?;
    request.headers_mut().insert("authorization", bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let dialled = connect_async_with_config(request, Some(config), true);
    let Ok(connected) = timeout(SILENCE, dialled).await else { return Ok(Ended::TryAgain) };
    let (mut socket, _) = connected?;
    socket.send(text(&Up::Hello { generation: dial.generation, done })).await?;
    let (mut cursor, mut acked) = (0, None);
    loop {
        // Frames are sent only once the server has said what it holds.
        while let Some(held) = acked {
            let next = shared.lock().after(cursor).cloned();
            match next {
                Some((seq, body)) if seq <= held + WINDOW => {
                    socket.feed(text(&Up::Frame { seq, body })).await?;
                    cursor = seq;
                }
                _ => break,
            }
        }
        socket.flush().await?;
        tokio::select! {
            message = timeout(SILENCE, socket.next()) => {
                let Ok(message) = message else { return Ok(Ended::TryAgain) };
                let Some(message) = message else { return Ok(Ended::TryAgain) };
                let Message::Text(message) = message? else { continue };
                let Ok(message) = serde_json::from_str::<Down>(&message) else { continue };
                let incoming = match message {
                    Down::Welcome { acked: held, job, .. } => {
                        acknowledge(shared, held);
                        (cursor, acked) = (held, Some(held));
                        down.send_replace(None);
                        Incoming::Job(job)
                    }
                    Down::Ack { seq } => {
                        acknowledge(shared, seq);
                        acked = Some(acked.unwrap_or(0).max(seq));
                        continue;
                    }
                    Down::Instruction(instruction) => Incoming::Instruction(instruction),
                    Down::Ask { ask, what } => Incoming::Ask(ask, what),
                    Down::Refused { retry: true, .. } => return Ok(Ended::TryAgain),
                    Down::Refused { reason, retry: false } => {
                        let _ = to_work.send(Incoming::Refused(reason));
                        return Ok(Ended::NotWanted);
                    }
                };
                let _ = to_work.send(incoming);
            }
            Some((ask, result)) = from_work.recv() => {
                socket.send(text(&Up::Answer { ask, result })).await?;
            }
            () = shared.changed.notified() => {}
        }
    }
}

fn acknowledge(shared: &Shared, seq: u64) {
    if let Err(error) = shared.lock().acknowledge(seq) {
        tracing::error!(%error, "the spool cannot be tidied");
    }
}

fn text(up: &Up) -> Message {
    Message::text(serde_json::to_string(up).unwrap_or_default())
}
