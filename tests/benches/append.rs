//! Appends and whole commands beside a plain insert.

use std::{future::Future, time::Duration};

use anyhow::ensure;
use audit::SigningKey;
use chrono::{DateTime, Utc};
use commands::{Caused, Commands, Context, Idempotency, sequencer, store};
use domain::{
    codec,
    event::{Actor, Event},
    ids::{Generation, RunId, SessionId, UserId},
    run, session,
};
use sqlx::PgPool;
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    Scale,
    database::Database,
    history,
    report::{Goal, Report},
};

const BODY: usize = 510;

/// `store::append` alone, one event a transaction.
pub(crate) async fn alone(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let database = Database::new("bench_append").await?;
    database.make_plain_table().await?;
    let pool = database.pool(40)?;
    for clients in [1, 8, 32] {
        let pairs = pairs(
            scale,
            || rate(clients, scale.window, || insert_plainly(pool.clone(), scale.window)),
            || rate(clients, scale.window, || append(pool.clone(), scale.window)),
        )
        .await?;
        let goal = if clients == 32 { Goal::Ratio(0.9) } else { Goal::None };
        let plural = if clients == 1 { "" } else { "s" };
        let name = format!("append alone, beside a plain insert, {clients} client{plural}");
        report.pairs(name, "events/s", &pairs, goal);
    }
    pool.close().await;
    Ok(())
}

/// Commands with idempotency keys, while sequencer and projector work.
pub(crate) async fn whole_command(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let database = Database::new("bench_command").await?;
    database.make_plain_table().await?;
    let pool = database.pool(60)?;
    let commands = Commands::new(pool.clone(), Context::system());
    let background = history::Background::start(&commands).await?;
    let pairs = pairs(
        scale,
        || rate(32, scale.window, || insert_plainly(pool.clone(), scale.window)),
        async || {
            let rate = rate(32, scale.window, || command(commands.clone(), scale.window)).await?;
            // What is left to be projected is not to fall to the baseline.
            background.caught_up(&pool).await?;
            Ok(rate)
        },
    )
    .await?;
    background.stop().await?;
    let name = "whole command with sequencer and projector, beside a plain insert, 32 clients";
    report.pairs(name, "commands/s", &pairs, Goal::Ratio(0.5));
    pool.close().await;
    Ok(())
}

/// Commands while sequencer and projector work, with leaves and signed checkpoints beside the same without.
pub(crate) async fn audited(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let (off, on) = (Database::new("bench_bare").await?, Database::new("bench_audited").await?);
    let bare = Commands::new(off.pool(44)?, Context::system());
    let audited = Commands::new(on.pool(44)?, Context::system());
    let without = sequencer::Options { leaves: false, ..sequencer::Options::default() };
    let key = SigningKey::parse(&SigningKey::generate("bench", [7; 32])?)?;
    let unsigned = history::Background::with(&bare, without, None).await?;
    let options = sequencer::Options::default();
    let signed = history::Background::with(&audited, options, Some(key)).await?;
    let measured = async |commands: &Commands, background: &history::Background| {
        let rate = rate(32, scale.window, || command(commands.clone(), scale.window)).await?;
        background.caught_up(commands.pool()).await?;
        anyhow::Ok(rate)
    };
    let pairs = pairs(
        scale,
        async || measured(&bare, &unsigned).await,
        async || measured(&audited, &signed).await,
    )
    .await?;
    let checkpoints: i64 = sqlx::query_scalar("select count(*) from paddock.checkpoint")
        .fetch_one(audited.pool())
        .await?;
    ensure!(checkpoints > 1, "nothing was signed meanwhile");
    let name =
        "whole command with leaves and signed checkpoints, beside the same without, 32 clients";
    report.pairs(name, "commands/s", &pairs, Goal::Ratio(0.9));
    for background in [unsigned, signed] {
        background.stop().await?;
    }
    bare.pool().close().await;
    audited.pool().close().await;
    Ok(())
}

/// Baseline and subject in turn, the order of the two changing from pair to pair; a short pair first, which
/// only warms up.
async fn pairs(
    scale: &Scale,
    mut baseline: impl AsyncFnMut() -> anyhow::Result<f64>,
    mut subject: impl AsyncFnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<(f64, f64)>> {
    baseline().await?;
    subject().await?;
    let mut pairs = vec![];
    for round in 0..scale.rounds {
        if round % 2 == 0 {
            let before = baseline().await?;
            pairs.push((before, subject().await?));
        } else {
            let before = subject().await?;
            pairs.push((baseline().await?, before));
        }
    }
    Ok(pairs)
}

/// What so many clients do in a second.
async fn rate<F>(clients: usize, window: Duration, client: impl Fn() -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<u32>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        tasks.spawn(client());
    }
    let mut done = 0.0;
    while let Some(count) = tasks.join_next().await {
        done += f64::from(count??);
    }
    let took = began.elapsed();
    ensure!(took < window * 2, "the clients took {took:?} for a window of {window:?}");
    Ok(done / took.as_secs_f64())
}

/// An event whose body is as long as those of the published measurements.
pub(crate) fn event() -> Event {
    let of = |length| {
        let reason = "x".repeat(length);
        Event::Run(run::Event::Lost { generation: Generation::FIRST, reason })
    };
    let frame = codec::encode(&of(0)).body.len();
    of(BODY - frame)
}

/// One client of the baseline. Its event is encoded beforehand; its connection comes from the pool and goes
/// back each time, as with every request: the pool's own round trip on that way is in both.
async fn insert_plainly(pool: PgPool, window: Duration) -> anyhow::Result<u32> {
    let encoded = codec::encode(&event());
    ensure!(encoded.body.len() == BODY, "the body has {} bytes", encoded.body.len());
    let schema = i16::try_from(encoded.schema)?;
    let stream = format!("run:{}", Uuid::now_v7());
    let until = Instant::now() + window;
    let mut count = 0;
    while Instant::now() < until {
        let now: DateTime<Utc> = Utc::now();
        count += 1;
        sqlx::query(
            "insert into public.plain (id, stream, version, name, schema, actor, time, correlation, body)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(Uuid::now_v7())
        .bind(&stream)
        .bind(i64::from(count))
        .bind(&encoded.name)
        .bind(schema)
        .bind("system:bench")
        .bind(now)
        .bind(Uuid::now_v7())
        .bind(&encoded.body)
        .execute(&pool)
        .await?;
    }
    Ok(count)
}

/// One client that appends.
async fn append(pool: PgPool, window: Duration) -> anyhow::Result<u32> {
    let context = Context::system();
    let event = event();
    let actor = history::actor();
    let mut after = store::load(&pool, RunId(context.id()).into()).await?.version;
    let until = Instant::now() + window;
    let mut count = 0;
    while Instant::now() < until {
        let append = store::Append { after, events: vec![event.clone()] };
        after = store::append(&pool, &context, actor, append, &[]).await?;
        count += 1;
    }
    Ok(count)
}

/// One client that makes sessions, and archives and brings back each a few times.
async fn command(commands: Commands, window: Duration) -> anyhow::Result<u32> {
    let owner = UserId(commands.context().id());
    let until = Instant::now() + window;
    let mut count = 0;
    while Instant::now() < until {
        let id = SessionId(commands.context().id());
        for step in 0..8 {
            let (command, caused) = step_of(commands.context(), owner, step);
            commands.session(id, command, caused).await?;
            count += 1;
            if Instant::now() >= until {
                break;
            }
        }
    }
    Ok(count)
}

/// The command of a session's life that comes after `step` others, with a key of its own.
pub(crate) fn step_of(context: &Context, owner: UserId, step: usize) -> (session::Command, Caused) {
    let idempotency = Idempotency { key: context.id().to_string(), fingerprint: [7; 32] };
    let caused = Caused { idempotency: Some(idempotency), ..Caused::by(Actor::User(owner)) };
    if step == 0 {
        let title = context.seal("Say hello to everybody by name".to_owned());
        let created = history::created(owner, title.reference.clone());
        (session::Command::Create(created), Caused { texts: vec![title], ..caused })
    } else if step % 2 == 1 {
        (session::Command::Archive, caused)
    } else {
        (session::Command::Restore, caused)
    }
}
