//! The public API, as its users call it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::support::{Installation, REPO};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// A run that was started: when that was asked for, and its id.
pub(super) type Started = (Uuid, Instant);

#[derive(Clone)]
pub(super) struct Load {
    http: Client,
    url: String,
    token: String,
}

impl Load {
    pub(super) fn of(installation: &Installation) -> anyhow::Result<Self> {
        let token = std::fs::read_to_string(installation.data().join("secrets/cli-token"))?;
        let http = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { http, url: installation.url.clone(), token: token.trim().to_owned() })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.token)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Uuid> {
        let request = self.http.post(format!("{}/api/v1/{path}", self.url));
        let key = Uuid::new_v4().to_string();
        let request = request.bearer_auth(&self.token).header("idempotency-key", key).json(body);
        let answer = request.send().await?;
        let status = answer.status();
        let value: Value = answer.json().await?;
        ensure!(status.is_success(), "POST {path}: {status} {value}");
        Ok(value["id"].as_str().context("no id")?.parse()?)
    }

    /// New sessions.
    pub(super) async fn sessions(&self, count: usize) -> anyhow::Result<Vec<Uuid>> {
        stream::iter(0..count)
            .map(|number| async move {
                let body = json!({ "repo": REPO, "title": format!("Bench {number}") });
                self.post("sessions", &body).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Starts a run of a session; when that was begun.
    pub(super) async fn start(&self, session: Uuid) -> anyhow::Result<Started> {
        let began = Instant::now();
        let body = json!({ "prompt": "There is nothing to do." });
        Ok((self.post(&format!("sessions/{session}/runs"), &body).await?, began))
    }

    /// Starts a run of each session, as fast as it can.
    pub(super) async fn burst(&self, sessions: &[Uuid]) -> anyhow::Result<Vec<Started>> {
        stream::iter(sessions)
            .map(|session| self.start(*session))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Waits until nothing is active any more and every pod is gone.
    pub(super) async fn over(&self, runs: &[Started]) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_mins(5);
        for (run, _) in runs {
            loop {
                let answer = self.get(&format!("runs/{run}/events?limit=200")).send().await?;
                let page: Value = answer.error_for_status()?.json().await?;
                let items = page["items"].as_array().context("no items")?;
                let is = |name: &str| items.iter().any(|item| item["type"] == name);
                if is("run.workload.removed") {
                    ensure!(is("run.succeeded"), "run {run} did not end well: {page:#}");
                    break;
                }
                ensure!(Instant::now() < until, "run {run} is not over: {page:#}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// How many runs are in a state, of those that have not ended.
    pub(super) async fn counted(&self, state: &str) -> anyhow::Result<usize> {
        let (mut count, mut cursor) = (0, String::new());
        loop {
            let answer = self.get(&format!("runs?active=true&limit=200{cursor}")).send().await?;
            let page: Value = answer.error_for_status()?.json().await?;
            let items = page["items"].as_array().context("no items")?;
            count += items.iter().filter(|item| item["state"] == state).count();
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(count),
            }
        }
    }

    /// Asks for one thing after another at a steady rate; how long each answer took, in milliseconds.
    pub(super) async fn ask(
        &self,
        run: Uuid,
        session: Uuid,
        every: Duration,
        window: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        let paths: Arc<[String]> = [
            "sessions?limit=50".to_owned(),
            "runs?limit=50".to_owned(),
            "runs?active=true&limit=200".to_owned(),
            format!("runs/{run}"),
            format!("runs/{run}/events?limit=200"),
            format!("sessions/{session}"),
            "me".to_owned(),
        ]
        .into();
        let took = Arc::<Mutex<Vec<f64>>>::default();
        let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
        let until = Instant::now() + window;
        let mut tick = interval(every);
        // Whether or not those before are answered.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0.. {
            let due = tick.tick().await;
            if due >= until {
                break;
            }
            let (this, took, paths) = (self.clone(), took.clone(), paths.clone());
            tasks.spawn(async move {
                let path = &paths[number % paths.len()];
                let answer = this.get(path).send().await?;
                ensure!(answer.status().is_success(), "GET {path}: {}", answer.status());
                answer.bytes().await?;
                let took_ms = due.elapsed().as_secs_f64() * 1000.0;
                took.lock().unwrap_or_else(PoisonError::into_inner).push(took_ms);
                Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let took = took.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(took)
    }
}
