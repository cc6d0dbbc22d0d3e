//! Whether a sandbox can be made here, found out by making one, and what to do if not.

use std::{fs, path::Path, time::Duration};

use rustix::process::geteuid;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::{
    launch::PATH,
    limits::Limits,
    sandbox::{Sandbox, StartError, exit_code},
};

/// A uid for the attempt, as root: nothing else of ours has it.
const UID: u32 = 609_999;
const PATIENCE: Duration = Duration::from_secs(20);

/// Why no sandbox can be made here.
#[derive(Debug, Error)]
pub enum Problem {
    /// A program is missing.
    #[error("{program} is not installed")]
    Missing {
        /// Which.
        program: &'static str,
    },
    /// The attempt failed.
    #[error("{0}")]
    Failed(String),
}

/// What is wrong and what to do, as lines to print; empty when all is well.
pub async fn preflight() -> String {
    let Err(problem) = check().await else { return String::new() };
    let mut text = format!("no sandbox can be made here: {problem}\n");
    let remedy = match problem {
        Problem::Missing { program } => install(program),
        Problem::Failed(_) => remedy(),
    };
    if !remedy.is_empty() {
        text.push_str(&remedy);
        text.push('\n');
    }
    text.push_str(
        "Runs are refused until this is mended, unless their profile accepts `unenforced`: such a run has \
         limits and directories of its own, but no wall.",
    );
    text
}

/// Makes a sandbox as a run's would be, and has it end by itself.
pub async fn check() -> Result<(), Problem> {
    for program in ["bash", "bwrap", "setpriv", "prlimit", "unshare", "setsid"] {
        if !PATH.split(':').any(|dir| Path::new(dir).join(program).exists()) {
            return Err(Problem::Missing { program });
        }
    }
    let failed = |error: std::io::Error| Problem::Failed(error.to_string());
    let dir = Scratch::new().map_err(failed)?;
    let sandbox = dir.sandbox().map_err(failed)?;
    let started = sandbox.start(&Limits::without_groups(64, 64), |_, _| Ok(())).await;
    let ended = match started {
        Ok(started) => started.sandbox.gone_within(PATIENCE).await,
        // One that ends at once may be gone before it is looked at.
        Err(StartError::Ended(_)) => true,
        Err(error) => return Err(Problem::Failed(error.to_string())),
    };
    if ended && dir.exit_code().await == Some(0) {
        return Ok(());
    }
    Err(Problem::Failed(crate::launch::last_words(&sandbox.log)))
}

/// A directory for the attempt, gone with this value.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let name = format!("paddock-preflight-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    fn sandbox(&self) -> std::io::Result<Sandbox> {
        let make = |name: &str| fs::create_dir(self.0.join(name)).map(|()| self.0.join(name));
        Ok(Sandbox {
            home: make("home")?,
            workspace: make("workspace")?,
            harness_dir: make("harness")?,
            gateway_dir: make("gateway")?,
            launch_dir: make("launch")?,
            programs: vec![],
            command: vec!["true".to_owned()],
            uid: geteuid().is_root().then_some(UID),
            log: self.0.join("log"),
        })
    }

    /// How the program inside ended; bubblewrap tells it last.
    async fn exit_code(&self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            let code = exit_code(&self.0.join("launch"));
            if code.is_some() || Instant::now() > until {
                return code;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn install(program: &str) -> String {
    let package = match program {
        "bash" => "bash",
        "bwrap" => "bubblewrap",
        _ => "util-linux",
    };
    format!("As root: apt-get install {package}")
}

/// What to do where the kernel says that it is its doing; empty where it does not.
pub(crate) fn remedy() -> String {
    remedy_for(|name| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default())
        .to_owned()
}

fn remedy_for(setting: impl Fn(&str) -> String) -> &'static str {
    let is = |name: &str, value: &str| setting(name).trim() == value;
    if is("user/max_user_namespaces", "0") {
        "The kernel allows no user namespaces. As root:
  echo user.max_user_namespaces=15000 > /etc/sysctl.d/60-paddock.conf && sysctl --system"
    } else if is("kernel/unprivileged_userns_clone", "0") {
        "The kernel forbids user namespaces to users. As root:
  echo kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/60-paddock.conf && sysctl --system"
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts user namespaces (Ubuntu's rule). Allow them to bubblewrap and, for runs that root \
starts, to unshare. As root:
  for p in bwrap unshare; do printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile %s /usr/bin/%s \
flags=(unconfined) {\\n  userns,\\n}\\n' $p $p > /etc/apparmor.d/paddock-$p && apparmor_parser -r \
/etc/apparmor.d/paddock-$p; done
Or allow them to every program:
  echo kernel.apparmor_restrict_unprivileged_userns=0 > /etc/sysctl.d/60-paddock.conf && sysctl --system"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_kernel_has_its_remedy() {
        let with = |wrong: &'static str, value: &'static str| {
            remedy_for(move |name| if name == wrong { format!("{value}\n") } else { String::new() })
        };
        let apparmor = with("kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(apparmor.contains("apparmor_parser -r") && apparmor.contains("userns,"));
        assert!(
            with("kernel/unprivileged_userns_clone", "0").contains("unprivileged_userns_clone=1")
        );
        assert!(with("user/max_user_namespaces", "0").contains("max_user_namespaces=15000"));
        assert_eq!(with("user/max_user_namespaces", "96365"), "");
        assert!(install("bwrap").contains("apt-get install bubblewrap"));
    }
}
