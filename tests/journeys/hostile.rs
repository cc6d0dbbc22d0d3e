//! A repository whose own git configuration runs code.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::support::Installation;

#[tokio::test]
async fn what_a_repositorys_configuration_starts_never_runs_outside_the_sandbox()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Trust me").await?;
    // The scenario points fsmonitor, hooks, filters, textconv, sshCommand and a credential helper at a
    // script that appends its uid and environment to /workspace/ran and to /tmp/paddock-hostile-ran.
    let outside = Path::new("/tmp/paddock-hostile-ran");
    ensure!(!outside.exists(), "{} is left from before", outside.display());
    let body = json!({ "prompt": "[scenario: hostile-config] Begin.", "linger_seconds": 600 });
    let first = paddock.run_with(&session, body).await?;
    paddock.wait_state(&first, "idle").await?;
    paddock.get(&format!("runs/{first}/changes")).await?;
    paddock.post(&format!("runs/{first}/finish"), Value::Null).await?;
    paddock.wait_end(&first).await?;

    // Restored with that configuration, and asked what it saw.
    let second = paddock.run(&session, "hostile-report").await?;
    paddock.wait_end(&second).await?;
    let items = paddock.output(&second).await?;
    let mut fold = link::Fold::default();
    for item in &items {
        fold.push(item);
    }
    let report: String = fold
        .messages()
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| part["state"]["output"].as_str())
        .collect();
    ensure!(
        report.contains("ran as uid 1000"),
        "the hooks never ran, so this proves nothing: {report}"
    );
    ensure!(!report.contains("ran as uid 0"), "{report}");
    ensure!(!outside.exists(), "something ran outside the sandbox");
    paddock.down().await
}
