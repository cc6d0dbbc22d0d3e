//! What the control plane does by itself, by level-triggered rounds: each reads what is, plans by a pure
//! function, and carries the plan out as commands. News in the views only start a round sooner, and one
//! item that fails is logged and looked at again in the next round.

mod admission;
mod deadlines;
#[cfg(test)]
mod fixture;
mod memory;
mod policies;
mod publisher;
mod pull_request;
mod pull_states;
mod retention;

use std::{panic::AssertUnwindSafe, time::Duration};

use api::{
    bundles::Bundles, gateway::Policies, github::GitHub, output::Outputs, pulls::PullChecks,
    settings::Installation,
};
use commands::Commands;
use domain::ids::Position;
use futures::FutureExt as _;
use projections::Views;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::serve::Doors;

/// How long a round waits without news.
const PERIOD: Duration = Duration::from_secs(1);
/// How long it waits after them, so that a burst makes one round.
const SETTLE: Duration = Duration::from_millis(10);
/// The share of its time that a task may spend on rounds that news start: one that has thousands to look at looks
/// less often.
const SHARE: u32 = 8;

/// What the tasks work with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) commands: Commands,
    pub(crate) views: Views,
    pub(crate) github: GitHub,
    pub(crate) bundles: Bundles,
    pub(crate) outputs: Outputs,
    pub(crate) pulls: PullChecks,
    pub(crate) policies: Policies,
    pub(crate) doors: Doors,
    /// What people may change while it runs.
    pub(crate) installation: Installation,
    /// Whether runs take this machine's memory.
    pub(crate) by_memory_here: bool,
    /// The address of the page, for links to runs.
    pub(crate) public_url: Url,
}

/// Runs all tasks until `shutdown`.
pub(crate) async fn run(tools: Tools, shutdown: CancellationToken) {
    let mut tasks = JoinSet::new();
    tasks.spawn(rounds(admission::Admission::new(&tools), tools.clone(), shutdown.clone()));
    tasks.spawn(rounds(publisher::Publisher::new(&tools), tools.clone(), shutdown.clone()));
    tasks.spawn(rounds(deadlines::Deadlines::new(&tools), tools.clone(), shutdown.clone()));
    tasks.spawn(rounds(policies::Publication::new(&tools), tools.clone(), shutdown.clone()));
    tasks.spawn(rounds(pull_states::PullStates::new(&tools), tools.clone(), shutdown.clone()));
    tasks.spawn(rounds(retention::Retention::new(&tools), tools, shutdown));
    tasks.join_all().await;
}

/// One task.
trait Task: Send {
    const NAME: &'static str;
    /// How long it waits between rounds.
    const PERIOD: Duration = PERIOD;
    /// Whether news in the views start a round.
    const WAKES: bool = true;
    /// How long it waits after news when its last round took so long.
    fn settle(took: Duration) -> Duration {
        SETTLE.max(took * SHARE)
    }

    /// Looks at everything once. An error ends only this round.
    fn round(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

async fn rounds<T: Task>(mut task: T, tools: Tools, shutdown: CancellationToken) {
    // The views are what a round looks at: an append that they do not show yet would start it in vain.
    let mut views = tools.views.health().position();
    let mut seen = *views.borrow();
    loop {
        let began = Instant::now();
        let round = AssertUnwindSafe(task.round()).catch_unwind();
        let done = tokio::select! {
            done = round => done,
            () = shutdown.cancelled() => return,
        };
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = T::NAME, error = &*error, "a round failed"),
            Err(_) => tracing::error!(task = T::NAME, "a round panicked"),
        }
        let settle = T::settle(began.elapsed());
        tokio::select! {
            () = sleep(T::PERIOD) => {}
            Ok(now) = news(&mut views, seen), if T::WAKES => {
                seen = now;
                sleep(settle.min(T::PERIOD)).await;
            }
            () = shutdown.cancelled() => return,
        }
    }
}

/// The position of the views once it is another one than `seen`.
async fn news(
    views: &mut watch::Receiver<Position>,
    seen: Position,
) -> Result<Position, watch::error::RecvError> {
    views.wait_for(|now| *now != seen).await.map(|now| *now)
}

#[cfg(test)]
mod tests;
