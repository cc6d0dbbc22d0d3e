//! A whole installation: how soon an agent answers, and how much memory the parts hold.

use std::path::Path;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    Scale,
    report::{Goal, Report},
    support::{Installation, PATIENCE},
};

/// Paddock's own processes. `up` watches over the others.
const OWN: [&str; 3] = ["serve", "egress", "up"];
/// What it stands on, and what only the demo has.
const OTHERS: [&str; 4] = ["postgres", "nats", "forge", "model"];

pub(crate) async fn runs_and_memory(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let installation = Installation::start().await?;
    let (mut ready, mut output) = (vec![], vec![]);
    for round in 0..=scale.runs {
        let (to_ready, to_output) = start(&installation).await?;
        // The first run is the first on this machine: it warms the caches.
        if round > 0 {
            ready.push(to_ready);
            output.push(to_output);
        }
    }
    report.values("`run start` → OpenCode answers (`run.ready`)", "s", ready, Goal::None);
    report.values("`run start` → the first output of OpenCode is stored", "s", output, Goal::None);
    memory(scale, report, &installation).await
}

/// Starts the first run of a session, which clones the repository, and lets it end; the seconds to `run.ready` and to the first output.
async fn start(installation: &Installation) -> anyhow::Result<(f64, f64)> {
    let session = installation.session("Look around").await?;
    let (asked, began) = (Utc::now(), Instant::now());
    let run = installation.run(&session, "empty-diff").await?;
    while installation.output(&run).await?.is_empty() {
        ensure!(began.elapsed() < PATIENCE, "no output:\n{}", installation.logs());
        sleep(Duration::from_millis(20)).await;
    }
    let output = began.elapsed().as_secs_f64();
    installation.wait_success(&run).await?;
    let page = installation.get(&format!("runs/{run}/events?limit=200")).await?;
    let items = page["items"].as_array().context("no items")?;
    let ready = items.iter().find(|item| item["type"] == "run.ready").context("never ready")?;
    let at: DateTime<Utc> = ready["time"].as_str().context("no time")?.parse()?;
    Ok(((at - asked).as_seconds_f64(), output))
}

/// The memory of idle parts. A page that several processes share is split between them.
async fn memory(
    scale: &Scale,
    report: &mut Report,
    installation: &Installation,
) -> anyhow::Result<()> {
    sleep(Duration::from_secs(5)).await;
    let serve = installation.pid("serve")?;
    let up = parent(serve).context("serve has no parent")?;
    let records: Value =
        serde_json::from_slice(&std::fs::read(installation.data().join("up.json"))?)?;
    let mut samples: Vec<Vec<f64>> = vec![vec![]; OWN.len() + OTHERS.len()];
    let mut own = vec![];
    for _ in 0..scale.rounds {
        let mut sum = 0.0;
        for (index, part) in OWN.iter().chain(&OTHERS).enumerate() {
            let pss = match *part {
                "up" => pss(up)?,
                "serve" | "egress" => pss(installation.pid(part)?)?,
                part if records[part].is_null() => continue,
                part => tree(installation.pid(part)?)?,
            };
            samples[index].push(pss);
            if index < OWN.len() {
                sum += pss;
            }
        }
        own.push(sum);
        sleep(Duration::from_millis(500)).await;
    }
    report.values(
        "idle memory (PSS) of serve, egress and up together",
        "MB",
        own,
        Goal::AtMost(80.0),
    );
    for (part, values) in OWN.iter().chain(&OTHERS).zip(samples) {
        if !values.is_empty() {
            report.values(format!("idle memory (PSS) of {part}"), "MB", values, Goal::None);
        }
    }
    Ok(())
}

/// A process's share of memory, in millions of bytes.
pub(crate) fn pss(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
    let kib: u32 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(f64::from(kib) * 1024.0 / 1e6)
}

/// That of a process and all below it.
fn tree(pid: u32) -> anyhow::Result<f64> {
    let mut sum = pss(pid)?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if parent(child) == Some(pid) {
            // One that ended meanwhile holds nothing.
            sum += tree(child).unwrap_or(0.0);
        }
    }
    Ok(sum)
}

fn parent(pid: u32) -> Option<u32> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name in parentheses may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
