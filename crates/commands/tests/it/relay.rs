//! The relay, while everything that can happen to its stream and to the database happens.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, stream::Stream};
use commands::{
    Commands, Context, Entropy, Progress, Standing,
    log::{self, Adopted},
    relay::{self, Relay, STREAM},
    sequencer,
};
use domain::{
    event::{Actor, Part},
    ids::{Position, SessionId},
};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    consumers::Consumer,
    nats::Server,
    postgres::Cluster,
    support::{Database, make_session, rename, sequenced, user, whole},
};

/// The event log of one installation, with everything that runs on it.
struct Installation {
    cluster: Cluster,
    server: Server,
    client: async_nats::Client,
    commands: Commands,
    relay: Relay,
    progress: Progress,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    appended: Arc<AtomicUsize>,
    writing: Arc<AtomicBool>,
}

impl Installation {
    async fn start(nats_server: &str) -> Self {
        let cluster = Cluster::start(true).await;
        let server = Server::start(nats_server);
        let client = server.client().await;
        let pool = commands::connect(&cluster.serve_url(), 10).unwrap();
        let commands = Commands::new(pool.clone(), Context::system());
        let relay = Relay::new(client.clone(), "https://paddock.test");
        let (progress, stop) = (Progress::new(), CancellationToken::new());
        let mut installation = Self {
            cluster,
            server,
            client,
            commands,
            relay: relay.clone(),
            progress: progress.clone(),
            stop: stop.clone(),
            tasks: vec![],
            appended: Arc::default(),
            writing: Arc::new(AtomicBool::new(true)),
        };
        let bell = installation.commands.doorbell();
        let options = sequencer::Options::default();
        let sequence = sequencer::run(
            pool.clone(),
            bell,
            progress.clone(),
            Some(relay.clone()),
            options,
            stop.clone(),
        );
        installation.tasks.push(tokio::spawn(sequence));
        // Two relays, as in an installation with two replicas.
        for progress in [progress, Progress::new()] {
            let run = relay::run(pool.clone(), relay.clone(), progress, stop.clone());
            installation.tasks.push(tokio::spawn(run));
        }
        installation.write(4);
        installation
    }

    /// Appends all the time, whatever fails.
    fn write(&mut self, clients: u32) {
        for _ in 0..clients {
            let commands = self.commands.clone();
            let (appended, writing) = (Arc::clone(&self.appended), Arc::clone(&self.writing));
            self.tasks.push(tokio::spawn(async move {
                let owner = user();
                let mut session = None;
                while writing.load(Ordering::Relaxed) {
                    if append(&commands, owner, &mut session).await {
                        appended.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }));
        }
    }

    async fn stream(&self) -> Stream {
        jetstream::new(self.client.clone()).get_stream(STREAM).await.unwrap()
    }

    /// Waits for so many more events to be appended and for all of them to be in the stream.
    async fn goes_on(&self, more: usize) {
        let target = self.appended.load(Ordering::Relaxed) + more;
        let begin = Instant::now();
        while self.appended.load(Ordering::Relaxed) < target {
            assert!(begin.elapsed() < Duration::from_secs(20), "nothing is appended any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let head = sequenced_head(self.commands.pool()).await;
        self.relayed(head).await;
    }

    /// Waits until a whole stream holds every position up to this one.
    async fn relayed(&self, head: u64) {
        let begin = Instant::now();
        loop {
            let jetstream = jetstream::new(self.client.clone());
            if let Ok(stream) = jetstream.get_stream(STREAM).await {
                let state = &stream.cached_info().state;
                let whole = state.first_sequence == 1 && state.messages == state.last_sequence;
                if whole && state.last_sequence >= head {
                    return;
                }
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the stream does not reach {head}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wipe(&self) {
        self.stream().await.purge().await.unwrap();
    }

    /// Removes the newest messages, which the server still knows as duplicates.
    async fn truncate(&self, count: u64) {
        let stream = self.stream().await;
        let last = stream.cached_info().state.last_sequence;
        for sequence in (last.saturating_sub(count) + 1)..=last {
            stream.delete_message(sequence).await.unwrap();
        }
    }

    /// Removes messages in the middle.
    async fn hole(&self, count: u64) {
        let stream = self.stream().await;
        let middle = stream.cached_info().state.last_sequence / 2;
        for sequence in middle..middle + count {
            stream.delete_message(sequence).await.unwrap();
        }
    }

    /// Goes back to a backup of a moment ago, under a stream that is ahead of it, and adopts that.
    async fn restore(&self, consumers: &[&Consumer]) -> Adopted {
        self.cluster.base_backup();
        self.goes_on(100).await;
        for consumer in consumers {
            consumer.reaches(head(self.commands.pool()).await).await;
        }
        self.cluster.crash();
        self.cluster.restore();
        self.cluster.up().await;
        halted(self.progress.sequencer()).await;
        halted(self.progress.relay()).await;
        let pool = self.commands.pool();
        let before = head(pool).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(head(pool).await, before, "a halted log got positions");
        let report = log::check(pool).await.unwrap();
        assert!(matches!(report.problems[..], [log::Problem::Halted(_)]), "{report}");
        let operator = Actor::System(Part::Operator);
        let adopt = log::adopt(pool, Some(&self.relay), self.commands.context(), operator);
        let adopted = adopt.await.unwrap();
        assert_eq!(adopted.size, Position(before));
        adopted
    }

    async fn restart_server(&mut self, wipe: bool) {
        self.server.crash();
        if wipe {
            self.server.wipe();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.server.up();
    }

    async fn end(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }
}

async fn append(
    commands: &Commands,
    owner: domain::ids::UserId,
    session: &mut Option<SessionId>,
) -> bool {
    if let Some(known) = *session {
        let (command, caused) = rename(commands.context(), owner, "again");
        match commands.session(known, command, caused).await {
            Ok(_) => return true,
            // Restored to before the session was made.
            Err(commands::CommandError::Session(_)) => *session = None,
            Err(_) => {}
        }
        return false;
    }
    let id = SessionId(commands.context().id());
    let (command, caused) = crate::support::create(commands.context(), owner);
    let done = commands.session(id, command, caused).await.is_ok();
    *session = done.then_some(id);
    done
}

async fn head(pool: &PgPool) -> u64 {
    let head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from paddock.log")
        .fetch_one(pool)
        .await
        .unwrap();
    head.unsigned_abs()
}

/// The head, once it holds everything that is committed now.
async fn sequenced_head(pool: &PgPool) -> u64 {
    let events: i64 =
        sqlx::query_scalar("select count(*) from paddock.event").fetch_one(pool).await.unwrap();
    let begin = Instant::now();
    loop {
        let head = head(pool).await;
        if head >= events.unsigned_abs() {
            return head;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the sequencer does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn halted(mut standing: watch::Receiver<Standing>) {
    let halted = standing.wait_for(|standing| matches!(standing, Standing::Halted(_)));
    tokio::time::timeout(Duration::from_secs(15), halted).await.expect("halted").unwrap();
}

/// Compares what a consumer knows with the log, by a join in SQL.
async fn compare(pool: &PgPool, name: &str, consumer: &Consumer) {
    let known = consumer.known.lock().unwrap().clone();
    println!(
        "{name}: {} positions, {} redelivered, {} behind holes, {} dropped, epoch {:?}",
        known.events.len(),
        known.redelivered,
        known.behind_holes,
        known.dropped,
        known.epoch.map(|epoch| epoch.to_string())
    );
    assert_eq!(known.faults, Vec::<String>::new(), "{name}");
    let positions: Vec<i64> = known.events.keys().map(|position| position.cast_signed()).collect();
    let ids: Vec<Uuid> = known.events.values().copied().collect();
    let differ: i64 = sqlx::query_scalar(
        "select count(*) from paddock.log l
         full join unnest($1::bigint[], $2::uuid[]) c(position, event) using (position)
         where l.event is distinct from c.event",
    )
    .bind(&positions)
    .bind(&ids)
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(differ, 0, "{name}: positions that are not the log's");
    assert!(known.redelivered > 0, "{name} saw no redelivery: the test shows nothing");
}

async fn survive(nats_server: &str) {
    let mut installation = Installation::start(nats_server).await;
    let (client, stop) = (installation.client.clone(), CancellationToken::new());
    let begin = Instant::now();
    let step = |name: &str| println!("{:6.2} s  {name}", begin.elapsed().as_secs_f32());
    installation.goes_on(100).await;
    let from_start = Consumer::start(client.clone(), None, stop.clone());
    let durable = Consumer::start(client.clone(), Some("durable"), stop.clone());
    installation.goes_on(100).await;
    step("wiped");
    installation.wipe().await;
    installation.goes_on(50).await;
    step("truncated");
    installation.truncate(20).await;
    installation.goes_on(50).await;
    step("messages deleted in the middle");
    installation.hole(5).await;
    installation.goes_on(50).await;
    step("the stream deleted");
    jetstream::new(client.clone()).delete_stream(STREAM).await.unwrap();
    installation.goes_on(50).await;
    step("PostgreSQL restored from a base backup");
    let adopted = installation.restore(&[&from_start, &durable]).await;
    step("adopted");
    installation.goes_on(50).await;
    let late = Consumer::start(client.clone(), None, stop.clone());
    installation.goes_on(50).await;
    step("NATS restarted");
    installation.restart_server(false).await;
    installation.goes_on(50).await;
    step("NATS wiped and restarted");
    installation.restart_server(true).await;
    installation.goes_on(50).await;
    step("PostgreSQL crashed");
    installation.cluster.crash();
    installation.cluster.up().await;
    installation.goes_on(50).await;

    installation.writing.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pool = installation.commands.pool().clone();
    let head = sequenced(&pool).await;
    installation.relayed(head.0).await;
    step("all is relayed");
    for (name, consumer) in
        [("from the start", &from_start), ("durable", &durable), ("late", &late)]
    {
        consumer.reaches(head.0).await;
        compare(&pool, name, consumer).await;
    }
    for consumer in [&from_start, &durable] {
        let known = consumer.known.lock().unwrap();
        assert!(known.dropped > 0, "the restored database lost nothing: the test shows nothing");
        assert_eq!(known.epoch.as_ref(), Some(&adopted.epoch));
    }
    stop.cancel();
    let report = whole(&pool).await;
    println!("{report}");
    installation.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_consumers_end_with_the_log_whatever_happens_to_stream_and_database() {
    let mut servers = vec!["nats-server".to_owned()];
    servers.extend(std::env::var("NATS_SERVER").ok().filter(|server| !server.is_empty()));
    for server in servers {
        println!("{server}");
        survive(&server).await;
    }
}

async fn reaches(relayed: &mut watch::Receiver<Position>, position: u64) {
    let reached = relayed.wait_for(|relayed| *relayed == Position(position));
    tokio::time::timeout(Duration::from_secs(10), reached).await.expect("relayed").unwrap();
}

/// Draws the machine's ids, but tells the next event's id beforehand.
struct Foretold {
    ids: Mutex<VecDeque<Uuid>>,
}

impl Entropy for Foretold {
    fn id(&self) -> Uuid {
        self.ids.lock().unwrap().pop_front().unwrap_or_else(Uuid::now_v7)
    }

    fn bytes(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// The server's table of duplicates outlives deletions: a message that was there once is acknowledged
/// and not stored.
#[tokio::test]
async fn a_message_that_is_called_a_duplicate_and_is_not_there_has_the_stream_made_again() {
    let (database, server) = (Database::new().await, Server::start("nats-server"));
    let client = server.client().await;
    let foretold = Arc::new(Foretold { ids: Mutex::default() });
    let context = Context { entropy: foretold.clone(), ..Context::system() };
    let commands = Commands::new(database.pool(), context);
    let (progress, stop) = (Progress::new(), CancellationToken::new());
    // Nobody looks at the stream: only the answer to the publish can show it.
    let relay =
        Relay::new(client.clone(), "https://paddock.test").look_every(Duration::from_hours(1));
    let options = sequencer::Options::default();
    let sequence = sequencer::run(
        database.pool(),
        commands.doorbell(),
        progress.clone(),
        None,
        options,
        stop.clone(),
    );
    let tasks = [
        tokio::spawn(sequence),
        tokio::spawn(relay::run(database.pool(), relay.clone(), progress.clone(), stop.clone())),
    ];
    let owner = user();
    let session = make_session(&commands, owner).await;
    let mut relayed = progress.relayed();
    reaches(&mut relayed, 1).await;

    let next = Uuid::now_v7();
    let jetstream = jetstream::new(client.clone());
    let strange = jetstream::message::PublishMessage::build().message_id(next.to_string());
    let subject = "paddock.ev.v1.run.x.requested";
    let stored = jetstream.send_publish(subject, strange).await.unwrap().await.unwrap();
    assert_eq!(stored.sequence, 2);
    jetstream.get_stream(STREAM).await.unwrap().delete_message(2).await.unwrap();

    let (command, caused) = rename(commands.context(), owner, "x");
    // One for the correlation, one for the event.
    foretold.ids.lock().unwrap().extend([Uuid::now_v7(), next]);
    commands.session(session, command, caused).await.unwrap();
    reaches(&mut relayed, 2).await;
    let message =
        jetstream.get_stream(STREAM).await.unwrap().get_raw_message(2).await.expect("stored");
    assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), next.to_string());
    assert_eq!(relay.lag(commands.pool()).await.unwrap(), 0);
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_doorbell_is_heard_in_another_process() {
    let server = Server::start("nats-server");
    let stop = CancellationToken::new();
    let (here, there) = (commands::Doorbell::new(), commands::Doorbell::new());
    for bell in [&here, &there] {
        let (bell, client, stop) = (bell.clone(), server.client().await, stop.clone());
        tokio::spawn(async move { bell.join(client, stop).await });
    }
    let heard = Arc::new(Mutex::new(0));
    let mut listener = there.listen();
    let counting = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            listener.rung().await;
            *counting.lock().unwrap() += 1;
        }
    });
    let begin = Instant::now();
    while *heard.lock().unwrap() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5), "never heard");
        here.ring();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = *heard.lock().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(*heard.lock().unwrap(), after, "two bells must not keep ringing each other");
    stop.cancel();
}
