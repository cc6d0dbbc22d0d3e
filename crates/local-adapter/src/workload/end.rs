use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Place, SANDBOX};
use crate::{
    limits::{Limits, end_all},
    processes::{Identity, descendants},
    sandbox::init_of,
};

/// How long what was killed has to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends a workload's processes: the sidecar may finish first.
pub(crate) async fn end(place: &Place, grace: Duration) {
    if let Some(sidecar) = place.recorded().living("sidecar") {
        sidecar.end(grace).await;
    }
    end_sandbox(place).await;
}

/// Ends a sandbox with all inside, and removes its control groups.
pub(crate) async fn end_sandbox(place: &Place) {
    let recorded = place.recorded();
    let sandbox = recorded.living(SANDBOX);
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        // With PID 1 all inside ends, and bubblewrap after it.
        let mut left: Vec<Identity> = recorded.living("init").cloned().into_iter().collect();
        if let Some(sandbox) = sandbox.filter(|sandbox| sandbox.is_alive()) {
            left.extend(init_of(&place.join("launch"), sandbox));
            // Without walls there is no such PID 1.
            left.extend(descendants(sandbox.pid).into_iter().filter_map(Identity::of));
        }
        left.retain(Identity::is_alive);
        if left.is_empty() {
            break;
        }
        for process in left {
            process.signal(Signal::KILL);
        }
        sleep(Duration::from_millis(5)).await;
    }
    if let Some(sandbox) = sandbox
        && !sandbox.gone_within(Duration::from_secs(1)).await
    {
        sandbox.kill().await;
    }
    if let Some(limits) = Limits::load(&place.dir) {
        end_all(limits.groups()).await;
    }
}
