use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::response::sse::Event;
use domain::{access::Action, ids::Position};
use futures::Stream;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    changes,
    message::{EventMessage, HelloEvent, ResetEvent},
    output, run, sessions, system,
    topic::Topic,
};
use crate::{
    access::{Allowance, Caller, changed},
    state::AppState,
};

/// How many messages wait for a reader; topics wait for room.
const WAITING: usize = 8;
/// How long a topic waits for room before the reader is given up: it comes back by its places.
const SLOW: Duration = Duration::from_secs(30);
/// How long after the database failed it is asked again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How long after something happened it is looked at, so that a burst makes one message.
pub(super) const SETTLE: Duration = Duration::from_millis(80);

/// Returns once the read models are at another position than `seen`.
pub(super) async fn moved(views: &mut watch::Receiver<Position>, seen: Position) {
    if views.wait_for(|now| *now != seen).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The reader is gone, or does not read.
pub(super) struct Closed;

/// Where a topic's messages go.
#[derive(Clone)]
pub(super) struct Out(mpsc::Sender<Event>);

impl Out {
    pub(super) async fn send(&self, message: EventMessage) -> Result<(), Closed> {
        let event =
            Event::default().event(message.name()).json_data(message).map_err(|_| Closed)?;
        match timeout(SLOW, self.0.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Closed),
        }
    }
}

/// One reader's stream. It ends when the reader may no longer read or does not; dropping it ends its topics.
pub(super) fn stream(
    state: AppState,
    caller: Caller,
    topics: Vec<Topic>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream! {
        let (sender, mut messages) = mpsc::channel(WAITING);
        let out = Out(sender);
        let mut tasks = JoinSet::new();
        let lists = topics.iter().any(|topic| matches!(topic, Topic::Sessions(_)));
        {
            let (state, out, caller) = (state.clone(), out.clone(), caller.clone());
            tasks.spawn(async move {
                hello(&state, &out).await?;
                let to = Allowance::of(&state, &caller);
                let mut topics_watched = JoinSet::new();
                for topic in topics {
                    topics_watched.spawn(watched(state.clone(), to.clone(), topic, out.clone()));
                }
                // A topic that came to its end is no reason to end the others.
                while let Some(ended) = topics_watched.join_next().await {
                    if let Ok(Err(Closed)) = ended {
                        return Err(Closed);
                    }
                }
                std::future::pending().await
            });
        }
        tasks.spawn(async move {
            changed(state.clone(), caller).await;
            // Which sessions it sees may be others: it lists them anew.
            if lists && let Ok(at) = state.views.projected().await {
                let (topic, at) = ("sessions".to_owned(), at.to_string());
                let reset = EventMessage::Reset(ResetEvent { topic, at });
                let _ = timeout(RETRY, out.send(reset)).await;
            }
            Err::<(), Closed>(Closed)
        });
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => yield Ok(message),
                    None => return,
                },
                _ = tasks.join_next() => {
                    while let Ok(message) = messages.try_recv() {
                        yield Ok(message);
                    }
                    return;
                }
            }
        }
    }
}

async fn hello(state: &AppState, out: &Out) -> Result<(), Closed> {
    let epoch = timeout(RETRY, commands::log::current_epoch(state.pool())).await;
    let epoch = epoch.ok().and_then(Result::ok).map(|(epoch, _)| epoch.to_string());
    let server = env!("CARGO_PKG_VERSION").to_owned();
    out.send(EventMessage::Hello(HelloEvent { server, epoch })).await
}

async fn watched(state: AppState, to: Allowance, topic: Topic, out: Out) -> Result<(), Closed> {
    let name = topic.to_string();
    if let Topic::Run(id, _) | Topic::Output(id, _) | Topic::Changes(id) = topic {
        let run = loop {
            match state.authority.run(id).await {
                Ok(run) => break run,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        if to.on(Action::ReadRun, "run", run.as_ref()).is_err() {
            return run::gone(name, &out).await;
        }
    }
    match topic {
        Topic::Sessions(at) => sessions::watch(&state, &to, name, at, &out).await,
        Topic::Run(run, at) => run::watch(&state, &to, name, run, at, &out).await,
        Topic::Output(run, at) => output::watch(&state, name, run, at, &out).await,
        Topic::Changes(run) => changes::watch(&state, name, run, &out).await,
        Topic::System => system::watch(&state, name, &out).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::message::GoneEvent;

    fn message() -> EventMessage {
        EventMessage::Gone(GoneEvent { topic: "run:x".to_owned() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_given_up_and_little_waits_for_it() {
        let (sender, messages) = mpsc::channel(WAITING);
        let out = Out(sender);
        for _ in 0..WAITING {
            assert!(out.send(message()).await.is_ok());
        }
        let begun = tokio::time::Instant::now();
        assert!(out.send(message()).await.is_err());
        assert!(begun.elapsed() >= SLOW);
        assert_eq!(messages.len(), WAITING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_only_slow_gets_everything() {
        let (sender, mut messages) = mpsc::channel(1);
        let out = Out(sender);
        let slow = tokio::spawn(async move {
            let mut read = 0;
            while messages.recv().await.is_some() {
                tokio::time::sleep(SLOW / 2).await;
                read += 1;
            }
            read
        });
        for _ in 0..10 {
            assert!(out.send(message()).await.is_ok());
        }
        drop(out);
        assert_eq!(slow.await.unwrap(), 10);
    }
}
