//! What is in a log, and the parts that work on it.

use chrono::{TimeDelta, Utc};
use commands::{Commands, Context, Progress, sequencer, store};
use domain::{
    event::{Actor, Event, Part},
    ids::{BundleDigest, Generation, InputId, RunId, SessionId, UserId},
    run::{self, Enforcement, Probe, Requested, Usage, Verdict},
    session::{self, BundleInfo, Created},
    text::TextRef,
};
use projections::Health;
use sqlx::PgPool;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

pub(crate) fn actor() -> Actor {
    Actor::System(Part::Adapter)
}

/// Sequencer and projector, as `paddock serve` runs them.
pub(crate) struct Background {
    pub(crate) health: Health,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Background {
    pub(crate) async fn start(commands: &Commands) -> anyhow::Result<Self> {
        Self::with(commands, sequencer::Options::default(), None).await
    }

    /// With these options of the sequencer, and a signer if there is a key.
    pub(crate) async fn with(
        commands: &Commands,
        options: sequencer::Options,
        key: Option<audit::SigningKey>,
    ) -> anyhow::Result<Self> {
        let pool = commands.pool().clone();
        projections::prepare(&pool).await?;
        let (progress, health) = (Progress::new(), Health::default());
        let shutdown = CancellationToken::new();
        let head = progress.head();
        let sequencer = sequencer::run(
            pool.clone(),
            commands.doorbell(),
            progress.clone(),
            None,
            options,
            shutdown.clone(),
        );
        let projector = projections::run(pool, head, health.clone(), shutdown.clone());
        let mut tasks = vec![tokio::spawn(sequencer), tokio::spawn(projector)];
        if let Some(key) = key {
            let keys = commands::audit::Keys { key, previous: None, memory: None };
            let signer = commands::audit::run(commands.clone(), keys, progress, shutdown.clone());
            tasks.push(tokio::spawn(signer));
        }
        Ok(Self { health, shutdown, tasks })
    }

    /// Waits until all that is committed is sequenced and projected.
    pub(crate) async fn caught_up(&self, pool: &PgPool) -> anyhow::Result<()> {
        sequenced(pool).await?;
        let head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from paddock.log")
            .fetch_one(pool)
            .await?;
        let mut position = self.health.position();
        position.wait_for(|position| position.0 >= head.unsigned_abs()).await?;
        Ok(())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

/// Waits until every event has its position.
pub(crate) async fn sequenced(pool: &PgPool) -> anyhow::Result<()> {
    while sequencer::lag(pool).await?.events > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// How many sessions are worked on at the same time: their events alternate in the log.
const AT_ONCE: usize = 16;
/// Events of one stream that are appended together.
const TOGETHER: usize = 4;

/// Fills the log with at least so many events: sessions of two runs each, with all that a run goes through.
pub(crate) async fn fill(commands: &Commands, events: usize) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let commands = commands.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while count < events.div_ceil(AT_ONCE) {
                count += session(&commands).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// A session's whole life; how many events that was.
async fn session(commands: &Commands) -> anyhow::Result<usize> {
    let context = commands.context();
    let (id, owner) = (SessionId(context.id()), UserId(context.id()));
    let mut of_session = Stream::load(commands, id.into()).await?;
    let mut count =
        of_session.append(vec![session::Event::Created(created(owner, text(context)))]).await?;
    let mut from = None;
    for _ in 0..2 {
        let run = RunId(context.id());
        let head = format!("{:040x}", run.0.as_u128());
        let bundle = BundleInfo {
            digest: BundleDigest(format!("{:064x}", run.0.as_u128())),
            parent: from.clone(),
            size: 1_234_567,
            git_head: head.clone(),
        };
        count += of_session.append(vec![session::Event::RunStarted { run }]).await?;
        let mut of_run = Stream::load(commands, run.into()).await?;
        let (work, end) = run_events(context, id, owner, from.as_ref(), &bundle);
        count += of_run.append(work).await?;
        from = Some(bundle.digest.clone());
        let stored = session::Event::BundleStored { run, generation: Generation::FIRST, bundle };
        let ended = session::Event::RunEnded { run, outcome: run::Outcome::Succeeded };
        count += of_session.append(vec![stored, ended]).await?;
        count += of_run.append(end).await?;
    }
    Ok(count)
}

struct Stream<'a> {
    commands: &'a Commands,
    after: Option<store::LoadedVersion>,
}

impl<'a> Stream<'a> {
    async fn load(commands: &'a Commands, id: domain::stream::StreamId) -> anyhow::Result<Self> {
        let after = Some(store::load(commands.pool(), id).await?.version);
        Ok(Self { commands, after })
    }

    async fn append<E>(&mut self, events: Vec<E>) -> anyhow::Result<usize>
    where
        Event: From<E>,
    {
        let count = events.len();
        let mut events = events.into_iter().map(Event::from).peekable();
        while events.peek().is_some() {
            let Some(after) = self.after.take() else { break };
            let append = store::Append { after, events: events.by_ref().take(TOGETHER).collect() };
            let (pool, context) = (self.commands.pool(), self.commands.context());
            self.after = Some(store::append(pool, context, actor(), append, &[]).await?);
        }
        self.commands.doorbell().ring();
        Ok(count)
    }
}

pub(crate) fn created(owner: UserId, title: TextRef) -> Created {
    Created {
        repo: "octo/hello".parse().expect("a repository"),
        base: "main".parse().expect("a branch"),
        branch: "paddock/say-hello-to-everybody".parse().expect("a branch"),
        title,
        issue: Some(7),
        owner,
    }
}

fn text(context: &Context) -> TextRef {
    context.seal("Please say hello to everybody by name".to_owned()).reference
}

fn requested(session: SessionId, owner: UserId, from: Option<&BundleDigest>) -> Requested {
    let created = created(owner, Context::system().seal(String::new()).reference);
    Requested {
        session,
        owner,
        repo: created.repo,
        base: created.base,
        branch: created.branch,
        issue: created.issue,
        profile: "default".to_owned(),
        egress: "github".to_owned(),
        accept_unenforced: false,
        from: from.cloned(),
        draft: false,
        deadline_seconds: 3600,
        linger_seconds: 0,
        attended_linger_seconds: 600,
        input_timeout_seconds: 600,
        link_timeout_seconds: 1800,
        memory_mib: 2048,
        disk_mib: 4096,
        max_retries: 2,
        harness: domain::run::Harness::default(),
        credential: None,
    }
}

/// A run with a permission asked for and a second prompt, up to its last snapshot, and its end.
fn run_events(
    context: &Context,
    session: SessionId,
    owner: UserId,
    from: Option<&BundleDigest>,
    bundle: &BundleInfo,
) -> (Vec<run::Event>, Vec<run::Event>) {
    use run::Event as E;
    let generation = Generation::FIRST;
    let until = Utc::now() + TimeDelta::minutes(10);
    let messages = [context.message_id(), context.message_id()];
    let input = InputId(format!("per_{}", context.id().simple()));
    let reason = run::QueueReason::RunsActive { active: 4, limit: 4 };
    let limits = ["memory", "pids", "cpu", "disk"].map(str::to_owned).to_vec();
    let enforcement = Enforcement { sandbox: "bubblewrap".to_owned(), limits, missing: vec![] };
    let probes = ["canary", "metadata", "dns", "postgres"]
        .map(|target| Probe { target: target.to_owned(), verdict: Verdict::Refused })
        .to_vec();
    let agent_session = format!("ses_{}", context.id().simple());
    let detail = text(context);
    let mut events = vec![
        E::Requested(Box::new(requested(session, owner, from))),
        E::PromptSubmitted { message: messages[0].clone(), text: text(context) },
        E::Queued { reason },
        E::Admitted { generation },
        E::WorkloadCreated { generation, enforcement },
        E::FenceVerified { generation, probes },
        E::Restored { generation, from: from.cloned(), git_head: bundle.git_head.clone() },
        E::Ready { generation, agent_session, agent_version: "1.18.33".to_owned() },
    ];
    for (turn, message) in (1..).zip(messages.clone()) {
        if turn == 2 {
            events.push(E::PromptSubmitted { message: message.clone(), text: text(context) });
        }
        events.push(E::TurnStarted { message });
        let kind = run::InputKind::Permission;
        events.push(E::InputRequired { input: input.clone(), kind, detail: detail.clone(), until });
        events.push(E::InputGiven { input: input.clone(), answer: run::Answer::Once });
        events.extend((1..=3).map(|call| E::UsageReported { usage: usage(turn * call) }));
        events.push(E::Idle { until });
    }
    events.push(E::FinishRequested { cause: run::FinishCause::Idle });
    events.push(E::BranchPushed { head: bundle.git_head.clone(), commits: 2 });
    let url = "https://github.com/octo/hello/pull/8".to_owned();
    events.push(E::PullRequestOpened {
        number: 8,
        url,
        head: bundle.git_head.clone(),
        created: true,
    });
    let cause = run::SnapshotCause::Final;
    let end = vec![
        E::SnapshotStored { generation, digest: bundle.digest.clone(), cause },
        E::Succeeded { changes: true },
        E::WorkloadRemoved { generation, output_digest: Some(bundle.digest.0.clone()) },
    ];
    (events, end)
}

fn usage(times: u64) -> Usage {
    Usage {
        input_tokens: 12_345 * times,
        output_tokens: 1_234 * times,
        reasoning_tokens: 321 * times,
        cached_tokens: 10_000 * times,
        cost_micro_usd: 45_678 * times,
    }
}
