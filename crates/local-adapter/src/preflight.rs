//! Whether a sandbox can be made here, found out by making one, and what to do if not.

use std::{fs, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// What is wrong and what to do, as lines to print; empty when all is well.
pub async fn preflight() -> String {
    let Some(problem) = problem().await else { return String::new() };
    format!(
        "no sandbox can be made here: {problem}\nRuns are refused until this is mended, unless their profile accepts `unenforced`."
    )
}

async fn problem() -> Option<String> {
    let attempt = Command::new("bwrap")
        .args([
            "--unshare-all",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--",
            "true",
        ])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match timeout(Duration::from_secs(10), attempt).await {
        Ok(Ok(output)) if output.status.success() => None,
        Ok(Ok(output)) => Some(remedy(String::from_utf8_lossy(&output.stderr).trim())),
        Ok(Err(_)) => {
            Some("bubblewrap is not installed; as root: apt-get install bubblewrap".to_owned())
        }
        Err(_) => Some("bubblewrap does not answer".to_owned()),
    }
}

fn remedy(said: &str) -> String {
    let setting =
        |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
    if setting("kernel/apparmor_restrict_unprivileged_userns").trim() == "1" {
        return "AppArmor restricts user namespaces (Ubuntu's rule). Allow them for bubblewrap, as root:\n  \
                printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n' > /etc/apparmor.d/bwrap\n  \
                apparmor_parser -r /etc/apparmor.d/bwrap"
            .to_owned();
    }
    if setting("kernel/unprivileged_userns_clone").trim() == "0" {
        return "the kernel forbids user namespaces to users; as root: sysctl -w kernel.unprivileged_userns_clone=1"
            .to_owned();
    }
    if setting("user/max_user_namespaces").trim() == "0" {
        return "the kernel allows no user namespaces; as root: sysctl -w user.max_user_namespaces=15000".to_owned();
    }
    format!("bubblewrap says: {said}")
}
