//! One connection of a sidecar.

use std::{collections::HashMap, time::Duration};

use axum::extract::ws::{Message, WebSocket};
use commands::StoreError;
use domain::{
    event::{Event, Recorded},
    ids::{Generation, InputId, RunId, StreamVersion},
    run,
    text::TextRef,
};
use futures::FutureExt as _;
use link::{Answered, Body, Down, Instruct, Instruction, Item, Up};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    LinkState, Told,
    identity::{Identified, Unidentified},
    instructions::{Pending, instructions},
    registry::{Question, Registered},
    store::{self, StoreFailure, Taken},
};

/// How long a connection may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How often the peer is pinged and the link marked as alive.
const BEAT: Duration = Duration::from_secs(5);
/// A peer that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(20);
/// How often the identity of an open link is checked again.
const RECHECK: Duration = Duration::from_mins(5);
/// How often the run's stream is looked at without a ring: other replicas append too.
const POLL: Duration = Duration::from_secs(3);
/// The longest that one message to the peer may take.
const SEND: Duration = Duration::from_secs(30);
/// How long a refused peer may take to hang up.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most frames, and the most of their bytes, in one transaction.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// The most bytes of a frame of output that are stored; a sidecar sends far less.
const MAX_OUTPUT_FRAME: usize = 256 * 1024;

/// Who dials.
pub(super) enum Caller {
    Known { run: RunId, generation: Generation, token: String },
    NotYet,
    Unknown,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Ending {
    /// The peer went away, or was told to.
    #[error("the connection ended")]
    Gone,
    #[error("{reason}")]
    Refused { reason: &'static str, retry: bool },
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<axum::Error> for Ending {
    fn from(_: axum::Error) -> Self {
        Self::Gone
    }
}

const fn refused(reason: &'static str, retry: bool) -> Ending {
    Ending::Refused { reason, retry }
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut socket: WebSocket, link: LinkState, caller: Caller) {
    let ending = match caller {
        Caller::Unknown => refused("the identity is unknown", false),
        Caller::NotYet => refused("the workload is not recorded yet", true),
        Caller::Known { run, generation, token } => {
            match Connection::open(&mut socket, &link, run, generation).await {
                Ok(mut connection) => tokio::select! {
                    ending = connection.serve() => ending,
                    ending = watch_identity(&link, (run, generation), &token) => ending,
                },
                Err(ending) => ending,
            }
        }
    };
    let (reason, retry) = match &ending {
        Ending::Gone => return,
        Ending::Refused { reason, retry } => (*reason, *retry),
        Ending::Store(error) => {
            tracing::error!(error = error as &dyn std::error::Error, "a link was given up");
            ("the server cannot store now", true)
        }
    };
    let _ = send(&mut socket, &Down::Refused { reason: reason.to_owned(), retry }).await;
    let _ = timeout(SEND, socket.send(Message::Close(None))).await;
    // What the peer still sends is read away: closing over it would reset the connection, and the peer
    // might never see why.
    let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}

/// Returns once the identity is another's or nobody's. While nobody can tell, it stays what it was.
async fn watch_identity(link: &LinkState, known: (RunId, Generation), token: &str) -> Ending {
    loop {
        sleep(RECHECK).await;
        if let Some(ending) = rechecked(known, link.identities.identify(token).await) {
            return ending;
        }
    }
}

/// A token runs out before its workload does, and whoever dials again shows a newer one.
fn rechecked(
    known: (RunId, Generation),
    now: Result<(RunId, Generation), Unidentified>,
) -> Option<Ending> {
    match now {
        Ok(now) if now == known => None,
        Ok(_) | Err(Unidentified::Superseded) => Some(refused("the identity is another's", false)),
        Err(Unidentified::Unknown) => Some(refused("the identity has run out: dial again", true)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(run = %known.0, error, "an identity was not checked again");
            None
        }
    }
}

struct Connection<'a> {
    socket: &'a mut WebSocket,
    link: &'a LinkState,
    identified: Identified,
    taken: Taken,
    registered: Registered,
    /// The run's stream, as far as it was looked at.
    events: Vec<Recorded>,
    /// Up to which version instructions were sent, or carried out before.
    sent: StreamVersion,
    asked: HashMap<u64, oneshot::Sender<Result<Answered, String>>>,
    asks: u64,
    heard: Instant,
    /// Says that the link is alive.
    touching: Option<AbortOnDropHandle<Result<bool, sqlx::Error>>>,
}

/// What came of it, once it is done. One that panicked is tried again at the next beat.
async fn until(
    touching: &mut Option<AbortOnDropHandle<Result<bool, sqlx::Error>>>,
) -> Result<bool, sqlx::Error> {
    match touching {
        Some(task) => task.await.unwrap_or(Ok(true)),
        None => std::future::pending().await,
    }
}

impl<'a> Connection<'a> {
    async fn open(
        socket: &'a mut WebSocket,
        link: &'a LinkState,
        run: RunId,
        generation: Generation,
    ) -> Result<Self, Ending> {
        let done = hello(socket, generation).await?;
        let run::State::Known(known) = link.commands.load_run(run).await?.0 else {
            return Err(refused("there is no such run", false));
        };
        match known.generation {
            Some(current) if current == generation && known.workload_removed => {
                return Err(refused("the run's output is closed", false));
            }
            Some(current) if current == generation => {}
            Some(current) if current > generation => return Err(SUPERSEDED),
            Some(_) | None => return Err(refused("the run is not admitted yet", true)),
        }
        let identified = Identified { run, generation, requested: known.requested };
        let taken = store::take(link, &identified, done).await?.ok_or(SUPERSEDED)?;
        let registered = link.links.register(run, taken.epoch);
        let requested = identified.requested.clone();
        let job = Box::new(link.job.job(&link.commands, run, generation, requested).await?);
        let welcome = Down::Welcome { epoch: taken.epoch, acked: taken.acked, job };
        send(socket, &welcome).await?;
        tracing::info!(%run, %generation, epoch = taken.epoch, "link taken");
        Ok(Self {
            socket,
            link,
            identified,
            taken,
            registered,
            events: vec![],
            sent: done,
            asked: HashMap::new(),
            asks: 0,
            heard: Instant::now(),
            touching: None,
        })
    }

    async fn serve(&mut self) -> Ending {
        let mut bell = self.link.commands.doorbell().listen_for(self.identified.run.into());
        let mut poll = interval(POLL);
        let mut beat = interval(BEAT);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let replaced = self.registered.replaced.clone();
            let step = tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.received(message).await,
                    Some(Err(_)) | None => Err(Ending::Gone),
                },
                () = replaced.cancelled() => Err(TAKEN),
                Some(question) = self.registered.questions.recv() => self.ask(question).await,
                () = bell.rung() => self.look().await,
                _ = poll.tick() => self.look().await,
                _ = beat.tick() => self.beat().await,
                done = until(&mut self.touching) => self.touched(done),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Takes in a message and all frames that have already arrived behind it.
    async fn received(&mut self, message: Message) -> Result<(), Ending> {
        let mut frames = vec![];
        let mut bytes = 0;
        let mut next = Some(message);
        let mut repeated = false;
        while let Some(message) = next.take() {
            self.heard = Instant::now();
            let size = match &message {
                Message::Text(text) => text.len(),
                Message::Ping(_) | Message::Pong(_) => 0,
                Message::Close(_) => return self.store(frames).await.and(Err(Ending::Gone)),
                Message::Binary(_) => return Err(refused("every message is text", true)),
            };
            if let Message::Text(text) = message {
                match serde_json::from_str(&text) {
                    Ok(Up::Frame { seq, body }) => {
                        let due = self.taken.acked + frames.len() as u64 + 1;
                        if seq > due {
                            return Err(refused("a frame is missing before this one", true));
                        }
                        if seq == due {
                            frames.push(bounded(body, size));
                        } else {
                            repeated = true;
                        }
                    }
                    Ok(Up::Answer { ask, result }) => {
                        if let Some(asker) = self.asked.remove(&ask) {
                            let _ = asker.send(result);
                        }
                    }
                    Ok(Up::Hello { .. }) => return Err(refused("hello is said once", true)),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(run = %self.identified.run, error, "not a message");
                        return Err(refused("not a message of the link", true));
                    }
                }
            }
            bytes += size;
            if frames.len() < BATCH && bytes < BATCH_BYTES {
                next = match self.socket.recv().now_or_never() {
                    Some(Some(Ok(message))) => Some(message),
                    // An end is found again, after what came before it is stored.
                    Some(Some(Err(_)) | None) | None => None,
                };
            }
        }
        let stored = !frames.is_empty();
        self.store(frames).await?;
        if stored || repeated {
            let ack = Down::Ack { seq: self.taken.acked };
            send(self.socket, &ack).await?;
        }
        Ok(())
    }

    async fn store(&mut self, frames: Vec<Body>) -> Result<(), Ending> {
        if frames.is_empty() {
            return Ok(());
        }
        match store::store(self.link, &self.identified, self.taken, &frames).await {
            Ok(()) => {
                self.taken.acked += frames.len() as u64;
                Ok(())
            }
            Err(StoreFailure::Lost) => Err(TAKEN),
            Err(StoreFailure::Failed(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(run = %self.identified.run, error, "frames were not stored");
                Err(refused("the server cannot store now", true))
            }
        }
    }

    /// Sends the instructions that are new in the run's stream.
    async fn look(&mut self) -> Result<(), Ending> {
        let run = self.identified.run;
        let known = self.events.last().map_or(StreamVersion::NONE, |last| last.version);
        let news = self.link.commands.run_events(run, known).await?;
        if news.is_empty() {
            return Ok(());
        }
        self.events.extend(news);
        if newest_generation(&self.events) > Some(self.identified.generation) {
            return Err(SUPERSEDED);
        }
        if is_removed(&self.events, self.identified.generation) {
            return Err(refused("the run's workload is gone", false));
        }
        for pending in instructions(&self.events, self.identified.generation, self.sent) {
            self.sent = pending.version;
            if let Some(instruction) = with_texts(self.link, run, pending).await? {
                send(self.socket, &Down::Instruction(instruction)).await?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, question: Question) -> Result<(), Ending> {
        self.asked.retain(|_, asker| !asker.is_closed());
        self.asks += 1;
        self.asked.insert(self.asks, question.answer);
        send(self.socket, &Down::Ask { ask: self.asks, what: question.ask }).await
    }

    async fn beat(&mut self) -> Result<(), Ending> {
        if self.heard.elapsed() > SILENCE {
            return Err(Ending::Gone);
        }
        match timeout(SEND, self.socket.send(Message::Ping(bytes::Bytes::new()))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Ending::Gone),
        }
        // Beside everything else: it waits for other links that say the same.
        if self.touching.is_none() {
            let (link, run, epoch) = (self.link.clone(), self.identified.run, self.taken.epoch);
            let touch = async move { store::touch(&link, run, epoch).await };
            self.touching = Some(AbortOnDropHandle::new(tokio::spawn(touch)));
        }
        Ok(())
    }

    fn touched(&mut self, touched: Result<bool, sqlx::Error>) -> Result<(), Ending> {
        self.touching = None;
        match touched {
            Ok(true) => Ok(()),
            Ok(false) => Err(TAKEN),
            // A store that is needed will say so.
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "link not marked as alive"
                );
                Ok(())
            }
        }
    }
}

/// Looks the texts up. None where there is nothing left to say.
async fn with_texts(
    link: &LinkState,
    run: RunId,
    pending: Pending,
) -> Result<Option<Instruction>, Ending> {
    let text = async |text: TextRef| link.commands.text(text.reference).await;
    let instruct = match pending.told {
        Told::Prompt(message, prompt) => match text(prompt).await? {
            Some(text) => Instruct::Prompt { message, text },
            None => return Ok(None),
        },
        Told::Permit(input, reply, words) => {
            let message = match words {
                Some(words) => text(words).await?,
                None => None,
            };
            Instruct::Permit { input, reply: reply.to_owned(), message }
        }
        Told::Answer(input, answers) => {
            let answers = match answers {
                Some(answers) => text(answers).await?,
                None => None,
            };
            answer(run, input, answers)
        }
        Told::Interrupt => Instruct::Interrupt,
        Told::Egress(mode) => Instruct::Egress { mode },
        Told::Publish => Instruct::Publish,
        Told::SnapshotAndStop => Instruct::SnapshotAndStop,
        Told::Exit => Instruct::Exit,
    };
    Ok(Some(Instruction { version: pending.version, instruct }))
}

fn answer(run: RunId, input: InputId, text: Option<String>) -> Instruct {
    let answers = text.map(|text| serde_json::from_str(&text)).transpose();
    if answers.is_err() {
        tracing::warn!(%run, %input, "an answer is no list of lists: the question is refused");
    }
    let answers = answers.ok().flatten();
    Instruct::AnswerQuestion { input, answers }
}

/// The sidecar of an older workload stops its agent and ends.
const SUPERSEDED: Ending = refused("a newer workload of the run took over", false);
/// The same sidecar may be the one that took it, or a rival about to end: try again.
const TAKEN: Ending = refused("another connection took the link", true);

async fn hello(socket: &mut WebSocket, known: Generation) -> Result<StreamVersion, Ending> {
    let said = timeout(HELLO, async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return None,
            }
        }
    })
    .await;
    let Ok(Some(text)) = said else { return Err(Ending::Gone) };
    match serde_json::from_str(&text) {
        Ok(Up::Hello { generation, done }) if generation == known => Ok(done),
        Ok(Up::Hello { .. }) => Err(refused("the identity is of another generation", false)),
        Ok(Up::Frame { .. } | Up::Answer { .. }) | Err(_) => {
            Err(refused("the first message is hello", true))
        }
    }
}

fn newest_generation(events: &[Recorded]) -> Option<Generation> {
    events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::Run(
                run::Event::Admitted { generation } | run::Event::Retried { generation },
            ) => Some(*generation),
            _ => None,
        })
        .max()
}

/// Whether nothing is left of the workload: whoever still speaks for it is not heard.
fn is_removed(events: &[Recorded], of: Generation) -> bool {
    events.iter().rev().any(|recorded| {
        matches!(&recorded.event,
            Event::Run(run::Event::WorkloadRemoved { generation, .. }) if *generation == of)
    })
}

/// Output that is far too large is stored as the gap it is.
fn bounded(body: Body, size: usize) -> Body {
    match body {
        Body::Output { .. } if size > MAX_OUTPUT_FRAME => {
            let reason = format!("{size} bytes of output in one frame were refused");
            Body::Output { items: vec![Item::Gap { reason }] }
        }
        body => body,
    }
}

async fn send(socket: &mut WebSocket, down: &Down) -> Result<(), Ending> {
    let text = match serde_json::to_string(down) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a message cannot be written"
            );
            return Err(Ending::Gone);
        }
    };
    match timeout(SEND, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Ending::Gone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_ran_out_ends_no_workload() {
        let known = (RunId(uuid::Uuid::nil()), Generation::FIRST);
        let retry = |now| match rechecked(known, now) {
            Some(Ending::Refused { retry, .. }) => Some(retry),
            _ => None,
        };
        assert_eq!(retry(Ok(known)), None);
        assert_eq!(retry(Err(Unidentified::Unknown)), Some(true));
        assert_eq!(retry(Err(Unidentified::Superseded)), Some(false));
        assert_eq!(retry(Ok((known.0, known.1.next()))), Some(false));
        // Nobody can tell: it stays what it was.
        assert_eq!(retry(Err(Unidentified::NotYet)), None);
    }
}
