//! A machine whose kernel refuses user namespaces, as Ubuntu's does by its AppArmor rule.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::support::{Installation, REPO};

const WORDS: &str = "bwrap: setting up uid map: Permission denied";

/// This program again, where bubblewrap fails as it would there and the kernel tells of the rule.
#[test]
fn without_user_namespaces_up_says_so_first_and_runs_are_refused_unless_they_accept_it()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("bwrap"), format!("#!/bin/sh\necho '{WORDS}' >&2; exit 1\n"))?;
    std::fs::set_permissions(path("bwrap"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::write(path("rule"), "1\n")?;
    let installed = ["/usr/local/bin/bwrap", "/usr/bin/bwrap", "/bin/bwrap"].map(Path::new);
    let installed = installed.into_iter().find(|path| path.exists()).context("no bubblewrap")?;
    let kernel = Path::new("/proc/sys/kernel");
    let mut wrapper = Command::new(installed);
    if is_root()? {
        wrapper.args(["--cap-add", "ALL"]);
    }
    wrapper.args(["--dev-bind", "/", "/", "--ro-bind"]).arg(path("bwrap")).arg(installed);
    wrapper.arg("--tmpfs").arg(kernel);
    let kept: Vec<PathBuf> = ["random", "osrelease"].map(|name| kernel.join(name)).into();
    for kept in kept {
        wrapper.arg("--ro-bind").args([&kept, &kept]);
    }
    let rule = kernel.join("apparmor_restrict_unprivileged_userns");
    wrapper.arg("--ro-bind").args([path("rule"), rule]).arg("--").arg(std::env::current_exe()?);
    wrapper.args(["--exact", "unenforced::where_bubblewrap_is_refused", "--ignored"]);
    let output = wrapper.output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

fn is_root() -> anyhow::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?) == 0)
}

#[tokio::test]
#[ignore = "started by another test"]
async fn where_bubblewrap_is_refused() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let said = std::fs::read_to_string(paddock.dir.path().join("up.log"))?;
    ensure!(said.starts_with("no sandbox can be made here: "), "{said}");
    for words in [WORDS, "apparmor_parser -r", "Runs are refused"] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    let session = paddock.session("Refused").await?;
    let refused = paddock.run(&session, "leftovers").await?;
    let ended = paddock.wait_end(&refused).await?;
    ensure!(ended["outcome"] == "failed" && ended["failure"] == "sandbox", "{ended:#}");
    ensure!(ended["retries"] == 0, "{ended:#}");
    let reason = ended["reason"].as_str().context("no reason")?;
    ensure!(reason.contains(WORDS) && reason.contains("apparmor_parser -r"), "{reason}");
    // One whose profile accepts it, which the run shows and its log says.
    let body = json!({ "prompt": "[scenario: leftovers] Go.", "profile": "open" });
    let open = paddock.run_with(&paddock.session("Open").await?, body).await?;
    let ended = paddock.wait_success(&open).await?;
    ensure!(ended["repo"] == REPO && ended["sandbox"] == "none", "{ended:#}");
    ensure!(ended["accepts_unenforced"] == true, "{ended:#}");
    let missing = ended["missing_limits"].as_array().context("no missing limits")?;
    ensure!(missing.contains(&json!("sandbox")), "{ended:#}");
    let events = paddock.get(&format!("runs/{open}/events?limit=200")).await?.to_string();
    ensure!(events.contains("in none; not enforced here: "), "{events}");
    paddock.down().await
}
