//! From a command to the read model, at a steady thousand events a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use commands::{Commands, Context};
use domain::ids::{Position, SessionId, UserId};
use sqlx::PgPool;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Duration, Instant, MissedTickBehavior, interval, sleep},
};
use uuid::Uuid;

use crate::{
    Scale, append,
    database::Database,
    history::Background,
    report::{Goal, Report},
};

/// Commands of one event each, a second.
const OFFERED: u64 = 1_000;
/// Clients that take turns; each works on sessions of its own.
const CLIENTS: usize = 50;
/// Commands of one session.
const STEPS: usize = 8;

/// What was appended, and when that was due.
struct Sent {
    session: Uuid,
    version: i64,
    due: Instant,
}

/// When the projector had committed which position.
type Seen = Arc<Mutex<Vec<(u64, Instant)>>>;

pub(crate) async fn append_to_read_model(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let database = Database::new("bench_latency").await?;
    let pool = database.pool(60)?;
    let commands = Commands::new(pool.clone(), Context::system());
    let background = Background::start(&commands).await?;
    let seen = Seen::default();
    let watching = tokio::spawn(watch_position(background.health.position(), seen.clone()));
    let (mut middles, mut tails, mut rates) = (vec![], vec![], vec![]);
    for round in 0..=scale.rounds {
        let window = scale.window.max(Duration::from_secs(2));
        let (sent, took) = offer(&commands, window).await?;
        background.caught_up(&pool).await?;
        sleep(Duration::from_millis(20)).await;
        let mut waits = waits(&pool, &sent, &seen).await?;
        waits.sort_by(f64::total_cmp);
        // The first round only warms up.
        if round > 0 {
            middles.push(waits[waits.len() / 2]);
            tails.push(waits[waits.len() * 99 / 100]);
            rates.push(f64::from(u32::try_from(sent.len())?) / took.as_secs_f64());
        }
    }
    watching.abort();
    background.stop().await?;
    report.values("events offered and appended meanwhile", "events/s", rates, Goal::None);
    report.values("append → read model at 1,000 events/s, p50", "ms", middles, Goal::None);
    report.values("append → read model at 1,000 events/s, p99", "ms", tails, Goal::AtMost(50.0));
    pool.close().await;
    Ok(())
}

async fn watch_position(mut position: watch::Receiver<Position>, seen: Seen) {
    while position.changed().await.is_ok() {
        let reached = position.borrow_and_update().0;
        seen.lock().expect("not poisoned").push((reached, Instant::now()));
    }
}

/// Offers commands at a steady rate, whether or not those before are done; what was appended, and how long
/// that took.
async fn offer(commands: &Commands, window: Duration) -> anyhow::Result<(Vec<Sent>, Duration)> {
    let mut clients = JoinSet::new();
    let mut queues = vec![];
    for _ in 0..CLIENTS {
        let (queue, work) = mpsc::unbounded_channel();
        queues.push(queue);
        clients.spawn(client(commands.clone(), work));
    }
    let began = Instant::now();
    let mut tick = interval(Duration::from_micros(1_000_000 / OFFERED));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for queue in queues.iter().cycle() {
        let due = tick.tick().await;
        if due >= began + window {
            break;
        }
        queue.send(due)?;
    }
    drop(queues);
    let mut sent = vec![];
    while let Some(done) = clients.join_next().await {
        sent.extend(done??);
    }
    Ok((sent, began.elapsed()))
}

async fn client(
    commands: Commands,
    mut work: mpsc::UnboundedReceiver<Instant>,
) -> anyhow::Result<Vec<Sent>> {
    let context = commands.context();
    let owner = UserId(context.id());
    let mut session = SessionId(context.id());
    let mut sent = vec![];
    while let Some(due) = work.recv().await {
        let step = sent.len() % STEPS;
        if step == 0 {
            session = SessionId(context.id());
        }
        let (command, caused) = append::step_of(context, owner, step);
        let accepted = commands.session(session, command, caused).await?;
        sent.push(Sent { session: session.0, version: i64::try_from(accepted.version.0)?, due });
    }
    Ok(sent)
}

/// How long each took from when it was due until the read models had it, in milliseconds.
async fn waits(pool: &PgPool, sent: &[Sent], seen: &Seen) -> anyhow::Result<Vec<f64>> {
    let streams: Vec<String> = sent
        .iter()
        .map(|sent| domain::stream::StreamId::from(SessionId(sent.session)).to_string())
        .collect();
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select e.stream, e.version, l.position
         from paddock.event e join paddock.log l on l.event = e.id where e.stream = any($1)",
    )
    .bind(&streams)
    .fetch_all(pool)
    .await?;
    let positions: HashMap<(String, i64), u64> = rows
        .into_iter()
        .map(|(stream, version, position)| ((stream, version), position.unsigned_abs()))
        .collect();
    let seen = seen.lock().expect("not poisoned").clone();
    let mut waits = vec![];
    for (sent, stream) in sent.iter().zip(streams) {
        let position =
            *positions.get(&(stream, sent.version)).context("an event has no position")?;
        let first = seen.partition_point(|(reached, _)| *reached < position);
        let (_, at) = seen.get(first).context("an event was never projected")?;
        waits.push(at.duration_since(sent.due).as_secs_f64() * 1000.0);
    }
    Ok(waits)
}
