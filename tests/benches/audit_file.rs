//! An export of a large log, and its verification.

use std::{
    fs::File,
    io::{BufReader, Write as _},
    time::Duration,
};

use anyhow::{anyhow, ensure};
use audit::{
    SigningKey,
    verify::{Against, verify},
};
use commands::{Commands, Context, sequencer, store};
use domain::{
    event::Event,
    ids::{RunId, SessionId, UserId},
    session,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Scale, append,
    database::Database,
    history,
    report::{Goal, Report},
};

/// Takes a log out and verifies the file.
pub(crate) async fn export_and_verify(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let database = Database::new("bench_export").await?;
    let commands = Commands::new(database.pool(40)?, Context::system());
    let key = SigningKey::parse(&SigningKey::generate("bench", [7; 32])?)?;
    let options = sequencer::Options::default();
    let background = history::Background::with(&commands, options, Some(key.clone())).await?;
    fill(&commands, scale.file).await?;
    // What it is filled with is for the record alone: no list can be made of it.
    history::sequenced(commands.pool()).await?;
    let head: i64 = sqlx::query_scalar("select max(position) from paddock.log")
        .fetch_one(commands.pool())
        .await?;
    loop {
        let signed = commands.audit().checkpoint().await?;
        if signed.is_some_and(|it| it.checkpoint.checkpoint().size == head.unsigned_abs()) {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let file = tempfile::NamedTempFile::new()?;
    let began = Instant::now();
    let mut export = commands.audit().export().await?;
    let mut out = std::io::BufWriter::new(file.reopen()?);
    while let Some(lines) = export.next().await? {
        out.write_all(&lines)?;
    }
    out.flush()?;
    drop(export);
    let events = f64::from(u32::try_from(head)?);
    let name = format!("export of the record, {head} events");
    report.values(name, "events/s", vec![events / began.elapsed().as_secs_f64()], Goal::None);
    let mut rates = vec![];
    for _ in 0..3 {
        let began = Instant::now();
        let against = Against { key: Some(key.verifying().clone()), older: None };
        let reader = BufReader::with_capacity(1 << 20, File::open(file.path())?);
        let verdict =
            verify(reader, against, &mut |_, _| {}).map_err(|error| anyhow!("{error}"))?;
        ensure!(verdict.checkpoint.checkpoint().size == head.unsigned_abs(), "all of it");
        // For a million of them.
        rates.push(began.elapsed().as_secs_f64() * 1e6 / events);
    }
    let name = format!(
        "verifying that file ({} MB) offline, a million events",
        file.as_file().metadata()?.len() >> 20
    );
    report.values(name, "s", rates, Goal::AtMost(60.0));
    background.stop().await?;
    commands.pool().close().await;
    Ok(())
}

/// Sessions with a title, each with a run of so many events of the usual size.
async fn fill(commands: &Commands, events: usize) -> anyhow::Result<()> {
    const AT_ONCE: usize = 16;
    const EACH: usize = 40;
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let commands = commands.clone();
        tasks.spawn(async move {
            let (pool, context) = (commands.pool(), commands.context());
            for _ in 0..events.div_ceil(AT_ONCE * (EACH + 1)) {
                let title = context.seal("Please say hello to everybody by name".to_owned());
                let created = history::created(UserId(context.id()), title.reference.clone());
                let created = Event::Session(session::Event::Created(created));
                let session = store::load(pool, SessionId(context.id()).into()).await?;
                let append = store::Append { after: session.version, events: vec![created] };
                store::append(pool, context, history::actor(), append, &[title]).await?;
                let run = store::load(pool, RunId(context.id()).into()).await?;
                let events = vec![append::event(); EACH];
                let append = store::Append { after: run.version, events };
                store::append(pool, context, history::actor(), append, &[]).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
