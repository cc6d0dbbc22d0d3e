//! Consumers of the stream, as an integration would write them: positions tell what is new, a new epoch
//! tells what to drop, and a consumer that the server no longer knows is made again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use commands::{
    log::Epoch,
    relay::{EPOCH, EPOCH_SIZE, POSITION, STREAM},
};
use futures::StreamExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a consumer knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) events: BTreeMap<u64, Uuid>,
    pub(crate) epoch: Option<Epoch>,
    /// Messages that it had already.
    pub(crate) redelivered: u64,
    /// Positions dropped at the beginning of a new epoch.
    pub(crate) dropped: u64,
    /// Messages passed over because those before them were missing.
    pub(crate) behind_holes: u64,
    /// What must never happen.
    pub(crate) faults: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) known: Arc<Mutex<Known>>,
    durable: Option<String>,
}

impl Consumer {
    /// Reads from the stream's first message until told to stop; `durable` has the server remember how
    /// far it is.
    pub(crate) fn start(
        client: async_nats::Client,
        durable: Option<&str>,
        stop: CancellationToken,
    ) -> Self {
        let consumer = Self { known: Arc::default(), durable: durable.map(str::to_owned) };
        let running = consumer.clone();
        tokio::spawn(async move {
            let jetstream = jetstream::context::ContextBuilder::new()
                .timeout(Duration::from_secs(1))
                .build(client);
            while !stop.is_cancelled() {
                // Whatever it is that failed, the way on is to look for the consumer again.
                let _ = running.follow(&jetstream, &stop).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        consumer
    }

    /// Waits until it knows this position.
    pub(crate) async fn reaches(&self, position: u64) {
        let begin = Instant::now();
        while !self.known.lock().unwrap().events.contains_key(&position) {
            assert!(begin.elapsed() < Duration::from_secs(20), "{position} is not reached");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn follow(
        &self,
        jetstream: &jetstream::Context,
        stop: &CancellationToken,
    ) -> Result<(), async_nats::Error> {
        let config = pull::Config {
            durable_name: self.durable.clone(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(2),
            ..pull::Config::default()
        };
        let stream = jetstream.get_stream_no_info(STREAM).await?;
        let mut consumer: PullConsumer = match &self.durable {
            Some(name) => stream.get_or_create_consumer(name, config).await?,
            None => stream.create_consumer(config).await?,
        };
        while !stop.is_cancelled() {
            let mut messages = consumer
                .fetch()
                .max_messages(200)
                .expires(Duration::from_millis(300))
                .messages()
                .await?;
            let mut any = false;
            while let Some(message) = messages.next().await {
                let message = message?;
                any = true;
                self.take(&message);
                message.ack().await?;
            }
            if !any {
                consumer.info().await?;
            }
        }
        Ok(())
    }

    fn take(&self, message: &jetstream::Message) {
        let mut known = self.known.lock().unwrap();
        if let Err(fault) = known.take(message) {
            known.faults.push(fault);
        }
    }
}

impl Known {
    fn take(&mut self, message: &jetstream::Message) -> Result<(), String> {
        let header = |name: &str| {
            let headers = message.headers.as_ref().ok_or("no headers")?;
            Ok::<_, String>(headers.get(name).ok_or(format!("no {name}"))?.as_str().to_owned())
        };
        let position: u64 = header(POSITION)?.parse().map_err(|_| "no position")?;
        let epoch: Epoch = header(EPOCH)?.parse().map_err(|_| "no epoch")?;
        let size: u64 = header(EPOCH_SIZE)?.parse().map_err(|_| "no size")?;
        let event: Value = serde_json::from_slice(&message.payload).map_err(|_| "not JSON")?;
        let id = check_event(&event, &message.subject, position, &epoch)?;
        if header("Nats-Msg-Id")? != id.to_string() {
            return Err("the message's id is not the event's".to_owned());
        }
        match &self.epoch {
            Some(known) if known.counter > epoch.counter => return Ok(()),
            Some(known) if *known == epoch => {}
            known => {
                if known.is_some() {
                    let dropped = self.events.split_off(&(size + 1));
                    self.dropped += dropped.len() as u64;
                }
                self.epoch = Some(epoch);
            }
        }
        match self.events.get(&position) {
            Some(known) if *known == id => self.redelivered += 1,
            Some(known) => return Err(format!("{position} was {known} and is {id}")),
            None => {
                let last = self.events.last_key_value().map_or(0, |(last, _)| *last);
                // A hole means that the stream was harmed, and will be made again: what stands behind
                // the hole comes again too.
                if position == last + 1 {
                    self.events.insert(position, id);
                } else {
                    self.behind_holes += 1;
                }
            }
        }
        Ok(())
    }
}

/// Checks that a message is the CloudEvent that it should be; returns its id.
fn check_event(event: &Value, subject: &str, position: u64, epoch: &Epoch) -> Result<Uuid, String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let stream = text("subject");
    let (kind, id) = stream.split_once('-').ok_or("no subject")?;
    let name = text("type");
    let name = name
        .strip_prefix(&format!("dev.paddock.{kind}."))
        .and_then(|name| name.strip_suffix(".v1"))
        .ok_or(format!("type {name}"))?;
    let expected = [
        (subject.to_owned(), format!("paddock.ev.v1.{kind}.{id}.{name}")),
        (text("specversion"), "1.0".to_owned()),
        (text("sequence"), format!("{position:020}")),
        (text("partitionkey"), stream.clone()),
        (text("epoch"), epoch.to_string()),
        (text("dataschema"), format!("https://paddock.test/schemas/dev.paddock.{kind}.{name}/1")),
        (text("source"), "https://paddock.test".to_owned()),
        (text("datacontenttype"), "application/json".to_owned()),
    ];
    for (found, expected) in expected {
        if found != expected {
            return Err(format!("{found} where {expected} belongs"));
        }
    }
    if !event["data"].is_object() || text("traceparent").len() != 55 || text("time").is_empty() {
        return Err(format!("incomplete: {event}"));
    }
    text("id").parse().map_err(|_| "no id".to_owned())
}
