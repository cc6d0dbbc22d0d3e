//! Runs as pods of a real API server. kwok plays the kubelets, and clients in this process the sidecars; the baseline is
//! one client that makes the same objects, in the same order and as many at once.

mod audit;
mod baseline;
mod load;
mod place;
mod seen;
mod sidecars;

use std::{collections::HashMap, net::TcpListener, time::Duration};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use uuid::Uuid;

use self::{
    audit::Audit,
    baseline::Bare,
    load::{Load, Started},
    place::LABEL,
    seen::Seen,
    sidecars::Sidecars,
};
use crate::{
    Scale, machine,
    report::{Goal, Report, Spread},
    support::Installation,
};

const NAMESPACE: &str = "paddock-bench";
const BARE: &str = "paddock-bench-bare";
/// What the adapter calls itself to the API server.
const ADAPTER: &str = "paddock-adapter/";
/// Pairs of baseline and subject.
const PAIRS: usize = 3;
/// Runs that only warm up.
const WARM_UP: usize = 20;
/// How many windows of API requests are measured while many runs wait, and how long each is.
const WINDOWS: usize = 4;
const WINDOW: Duration = Duration::from_secs(8);
/// Time between two requests in them, and between two runs that end.
const EVERY: Duration = Duration::from_millis(50);
const ENDS: Duration = Duration::from_millis(250);

struct World {
    client: Client,
    bare: Bare,
    bare_seen: Seen,
    seen: Seen,
    sidecars: Sidecars,
    installation: Installation,
    load: Load,
    sessions: Vec<Uuid>,
}

pub(crate) async fn runs_as_pods(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let client = place::client("paddock-bench/1").await?;
    place::tidy(&client).await?;
    let world = World::start(client.clone(), scale).await?;
    let measured = world.measure(scale, report).await;
    let World { mut installation, sidecars, .. } = world;
    let failed = sidecars.told.failed();
    drop(sidecars);
    installation.down().await?;
    place::tidy(&client).await?;
    for words in failed.iter().take(5) {
        eprintln!("bench: {words}");
    }
    measured?;
    ensure!(failed.is_empty(), "{} of the lives were not as they should be", failed.len());
    Ok(())
}

impl World {
    async fn start(client: Client, scale: &Scale) -> anyhow::Result<Self> {
        place::nodes(&client).await?;
        place::namespace(&client, NAMESPACE).await?;
        place::namespace(&client, BARE).await?;
        let own = own_name(&client).await?;
        let host = std::env::var("PADDOCK_TEST_HOST_ADDRESS");
        let host = host.unwrap_or_else(|_| "10.243.0.1".to_owned());
        let free = || -> anyhow::Result<String> {
            Ok(TcpListener::bind((&*host, 0))?.local_addr()?.to_string())
        };
        let (link, egress, canary) = (free()?, free()?, free()?);
        let (selector, toleration) = (format!("{LABEL}=node"), format!("{LABEL}=node:NoSchedule"));
        let limit = scale.pods.to_string();
        let installation = Installation::start_with(&[
            ("PADDOCK_KUBERNETES_NAMESPACE", NAMESPACE),
            ("PADDOCK_SIDECAR_IMAGE", "paddock.dev/sidecar:bench"),
            ("PADDOCK_HARNESS_IMAGE", "paddock.dev/harness:bench"),
            ("PADDOCK_KUBERNETES_NODE_SELECTOR", &selector),
            ("PADDOCK_KUBERNETES_TOLERATIONS", &toleration),
            ("PADDOCK_LINK_LISTEN", &link),
            ("PADDOCK_LINK_ADDRESS", &link),
            ("PADDOCK_EGRESS_LISTEN", &egress),
            ("PADDOCK_EGRESS_ADDRESS", &egress),
            ("PADDOCK_CANARY_LISTEN", &canary),
            ("PADDOCK_MAX_RUNS", &limit),
            ("PADDOCK_MAX_RUNS_PER_OWNER", &limit),
        ])
        .await?;
        let load = Load::of(&installation)?;
        let sessions = load.sessions(scale.pods + scale.queue).await?;
        let (running, run) = mpsc::unbounded_channel();
        Ok(Self {
            bare: Bare::new(&client, BARE, &own)?,
            bare_seen: Seen::of(&client, BARE, None),
            seen: Seen::of(&client, NAMESPACE, Some(running)),
            sidecars: Sidecars::new(&client, NAMESPACE, &link, run)?,
            installation,
            load,
            sessions,
            client,
        })
    }

    async fn measure(&self, scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
        self.burst_alone(WARM_UP).await?;
        self.burst(WARM_UP).await?;
        let bare = self.bursts(scale.pods, report).await?;
        let rate = f64::from(u32::try_from(scale.pods)?) / bare / 2.0;
        self.offered(scale.pods, rate, report).await?;
        self.queued(scale, report).await
    }

    /// As many runs at once as the cluster may have.
    async fn bursts(&self, count: usize, report: &mut Report) -> anyhow::Result<f64> {
        let (mut pairs, mut writes) = (vec![], vec![]);
        for _ in 0..PAIRS {
            let bare = self.burst_alone(count).await?;
            let audit = Audit::from_now();
            let burst = self.burst(count).await?;
            // The last states are told within a second or two.
            sleep(Duration::from_secs(3)).await;
            if let Some(audit) = audit {
                let counted = audit.writes(ADAPTER, NAMESPACE)?;
                eprintln!("bench: {count} runs in {burst:.2} s, bare {bare:.2} s; {counted:?}");
                let all: u32 = counted.values().sum();
                writes.push(f64::from(all) / f64::from(u32::try_from(count)?));
            }
            pairs.push((bare, burst));
        }
        let name = format!("{count} runs at once: first `run start` → last Pod exists");
        report.pairs(name, "s", &pairs, Goal::RatioAtMost(1.5));
        if !writes.is_empty() {
            let name = "writes by the adapter for a run, from the API server's audit log";
            report.values(name, "writes", writes, Goal::AtMost(12.0));
        }
        let memory = machine::pss(self.installation.pid("serve")?)?;
        let name = "memory (PSS) of serve, the adapter in it, after these";
        report.values(name, "MB", vec![memory], Goal::None);
        Ok(Spread::of(pairs.into_iter().map(|(bare, _)| bare).collect()).median)
    }

    /// Seconds until the last Pod exists; then all is removed again.
    async fn burst_alone(&self, count: usize) -> anyhow::Result<f64> {
        self.bare_seen.forget();
        let began = Instant::now();
        self.bare.burst(count).await?;
        let took = self.bare_seen.count(count).await? - began;
        sleep(Duration::from_secs(1)).await;
        place::empty(&self.client, BARE).await?;
        Ok(took.as_secs_f64())
    }

    async fn burst(&self, count: usize) -> anyhow::Result<f64> {
        self.seen.forget();
        let began = Instant::now();
        let started = self.load.burst(&self.sessions[..count]).await?;
        let took = self.seen.count(count).await? - began;
        self.load.over(&started).await?;
        Ok(took.as_secs_f64())
    }

    /// A steady rate: half of what the baseline managed.
    async fn offered(&self, count: usize, rate: f64, report: &mut Report) -> anyhow::Result<()> {
        let every = Duration::from_secs_f64(1.0 / rate);
        let (mut bare, mut beyond, mut tails, mut slowest) = (vec![], vec![], vec![], vec![]);
        for _ in 0..PAIRS {
            let alone = self.offer_alone(count, every).await?;
            let (made, dispatched) = self.offer(count, every).await?;
            eprintln!(
                "bench: offered {rate:.0}/s: bare p50 {:.1} p99 {:.1}, start → Pod p50 {:.1} p99 {:.1}, → dispatch \
                 p50 {:.0} p99 {:.0} ms",
                at(&alone, 50),
                at(&alone, 99),
                at(&made, 50),
                at(&made, 99),
                at(&dispatched, 50),
                at(&dispatched, 99)
            );
            bare.push(at(&alone, 50));
            beyond.push(at(&made, 50) - at(&alone, 50));
            tails.push(at(&made, 99));
            slowest.push(at(&dispatched, 99) / 1000.0);
        }
        report.values(
            "runs offered: half of what the baseline managed",
            "runs/s",
            vec![rate],
            Goal::None,
        );
        report.values("baseline at that rate: begun → Pod exists, p50", "ms", bare, Goal::None);
        let name = "`run start` → Pod exists at that rate, p50, beyond the baseline's";
        report.values(name, "ms", beyond, Goal::AtMost(25.0));
        report.values("`run start` → Pod exists at that rate, p99", "ms", tails, Goal::None);
        let name = "`run start` → its pod is told what to do at that rate, p99";
        report.values(name, "s", slowest, Goal::AtMost(2.0));
        Ok(())
    }

    async fn offer_alone(&self, count: usize, every: Duration) -> anyhow::Result<Vec<f64>> {
        self.bare_seen.forget();
        let mut tasks = JoinSet::new();
        let mut tick = steady(every);
        for _ in 0..count {
            let due = tick.tick().await;
            let (bare, run) = (self.bare.clone(), Uuid::now_v7());
            tasks.spawn(async move { bare.make(run).await.map(|_| (run, due)) });
        }
        let begun = all(tasks).await?;
        self.bare_seen.count(count).await?;
        let took = between(&begun, &self.bare_seen.made())?;
        place::empty(&self.client, BARE).await?;
        Ok(took)
    }

    /// Milliseconds until its pod exists, and until that was told what to do.
    async fn offer(&self, count: usize, every: Duration) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        self.seen.forget();
        let mut tasks = JoinSet::new();
        let mut tick = steady(every);
        for session in &self.sessions[..count] {
            let due = tick.tick().await;
            let (load, session) = (self.load.clone(), *session);
            tasks.spawn(async move { load.start(session).await.map(|(run, _)| (run, due)) });
        }
        let started = all(tasks).await?;
        self.seen.count(count).await?;
        let made = between(&started, &self.seen.made())?;
        self.load.over(&started).await?;
        let dispatched = between(&started, &self.sidecars.told.dispatched())?;
        Ok((made, dispatched))
    }

    /// Many runs wait behind as many as may run.
    async fn queued(&self, scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
        let told = &self.sidecars.told;
        let ended = told.turns();
        self.sidecars.may_end.send_replace(ended);
        let (running, waiting) = self.sessions.split_at(scale.pods);
        let running = self.load.burst(running).await?;
        let until = Instant::now() + Duration::from_mins(5);
        while told.working() < scale.pods {
            ensure!(Instant::now() < until, "{} of {} runs work", told.working(), scale.pods);
            sleep(Duration::from_millis(100)).await;
        }
        let began = Instant::now();
        self.load.burst(waiting).await?;
        eprintln!("bench: {} more runs asked for in {:.1?}", waiting.len(), began.elapsed());
        ensure!(self.load.counted("queued").await? == scale.queue, "not all of them wait");
        let run = running.first().context("no run")?.0;
        let ends = tokio::spawn({
            let may_end = self.sidecars.may_end.clone();
            async move {
                let mut tick = steady(ENDS);
                loop {
                    tick.tick().await;
                    may_end.send_modify(|many| *many += 1);
                }
            }
        });
        let serve = self.installation.pid("serve")?;
        let (mut tails, mut memory) = (vec![], vec![]);
        for _ in 0..WINDOWS {
            let took = self.load.ask(run, self.sessions[0], EVERY, WINDOW).await?;
            let took = sorted(took);
            eprintln!("bench: API p50 {:.1} p99 {:.1} ms", at(&took, 50), at(&took, 99));
            tails.push(at(&took, 99) / 1000.0);
            memory.push(machine::pss(serve)?);
        }
        ends.abort();
        let name = format!("{} runs wait behind {}: the API answers, p99", scale.queue, scale.pods);
        report.values(name, "s", tails, Goal::AtMost(1.0));
        let name = "memory (PSS) of serve meanwhile, the adapter in it";
        report.values(name, "MB", memory, Goal::AtMost(150.0));
        Ok(())
    }
}

async fn own_name(client: &Client) -> anyhow::Result<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = review.status.and_then(|status| status.user_info);
    user.and_then(|user| user.username).context("the API server does not say who this is")
}

fn steady(every: Duration) -> tokio::time::Interval {
    let mut tick = interval(every);
    // What is offered does not wait for what was.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    tick
}

async fn all(mut tasks: JoinSet<anyhow::Result<Started>>) -> anyhow::Result<Vec<Started>> {
    let mut done = vec![];
    while let Some(one) = tasks.join_next().await {
        done.push(one??);
    }
    Ok(done)
}

/// Milliseconds from one time to the other, in order.
fn between(from: &[Started], to: &HashMap<Uuid, Instant>) -> anyhow::Result<Vec<f64>> {
    let took = from.iter().map(|(run, begun)| {
        let at = to.get(run).with_context(|| format!("nothing was seen of run {run}"))?;
        Ok(at.duration_since(*begun).as_secs_f64() * 1000.0)
    });
    Ok(sorted(took.collect::<anyhow::Result<_>>()?))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
