//! What Paddock costs, beside the least that the same work could cost here: `make bench`.
//!
//! Baseline and subject alternate within one run, eight pairs or more; a ratio is the median of the paired
//! ratios, and a goal is missed only where the whole spread misses it.

mod append;
mod audit_file;
mod cluster;
mod database;
mod history;
mod latency;
mod machine;
mod page;
mod rebuild;
mod report;
#[expect(dead_code, reason = "the journeys use the rest of it")]
#[path = "../journeys/support.rs"]
mod support;

use std::time::Duration;

use report::Report;

/// How long the measurements are.
struct Scale {
    rounds: usize,
    /// Of each half of a pair.
    window: Duration,
    /// Events of the log that is built anew.
    log: usize,
    /// Events of the file that is verified.
    file: usize,
    /// Runs that are started.
    runs: usize,
    /// Runs that are started at once on a cluster, and that wait behind them.
    pods: usize,
    queue: usize,
}

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` builds and starts this too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let quick = std::env::var("QUICK").is_ok_and(|quick| !quick.is_empty() && quick != "0");
    let scale = if quick {
        Scale {
            rounds: 8,
            window: Duration::from_secs(1),
            log: 50_000,
            file: 100_000,
            runs: 5,
            pods: 100,
            queue: 500,
        }
    } else {
        Scale {
            rounds: 12,
            window: Duration::from_secs(3),
            log: 200_000,
            file: 1_000_000,
            runs: 12,
            pods: 1000,
            queue: 5000,
        }
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only == part;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut report = Report::default();
        if wanted("append") {
            append::alone(&scale, &mut report).await?;
        }
        if wanted("command") {
            append::whole_command(&scale, &mut report).await?;
        }
        if wanted("audit") {
            append::audited(&scale, &mut report).await?;
            audit_file::export_and_verify(&scale, &mut report).await?;
        }
        if wanted("latency") {
            latency::append_to_read_model(&scale, &mut report).await?;
        }
        if wanted("rebuild") {
            rebuild::all(&scale, &mut report).await?;
        }
        if wanted("machine") {
            machine::runs_and_memory(&scale, &mut report).await?;
        }
        if wanted("page") {
            page::in_a_browser(&scale, &mut report).await?;
        }
        if wanted("cluster") {
            cluster::runs_as_pods(&scale, &mut report).await?;
        }
        report.write()
    })
}
