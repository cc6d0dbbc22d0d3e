use std::path::PathBuf;

use crate::{
    config::Config,
    failure::{Failure, Step},
};

/// Who the agent's own commits are by, and what a fresh home would have git ask for.
const DEFAULTS: &str = "[user]\n\tname = Paddock agent\n\temail = agent@paddock.invalid\n\
    [safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n\
    [push]\n\tautoSetupRemote = true\n";

/// Settings that a repository's own must not replace: nothing of its configuration starts with a step,
/// and nothing of it changes what a step answers.
pub(super) const SAFE: [&str; 20] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.sshCommand=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=true",
    // What is larger counts as binary: it is never read whole to compare lines.
    "core.bigFileThreshold=16m",
    "credential.helper=",
    "http.proxy=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.gpgSign=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.status=false",
    "i18n.commitEncoding=utf-8",
    "i18n.logOutputEncoding=utf-8",
    "diff.orderFile=/dev/null",
    "color.ui=false",
];

/// The agent's own git configuration, which it may change.
pub(crate) fn agents_config(config: &Config) -> PathBuf {
    config.home.join(".gitconfig")
}

/// The configuration of the harness's own steps, which does not follow the agent's changes.
pub(super) fn own_config(config: &Config) -> PathBuf {
    config.own().join("gitconfig")
}

/// Writes both configurations, where they are not there yet.
pub(crate) fn configure(config: &Config) -> Step<()> {
    for path in [agents_config(config), own_config(config)] {
        if !path.exists() {
            std::fs::write(path, DEFAULTS)?;
        }
    }
    Ok(())
}

/// Lets git, the agent's too, reach `remote_url` through the gateway's route. The address itself stays in
/// the repository as people know it.
pub(super) fn route(config: &Config, remote_url: &str) -> Step<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:[]%".contains(&byte);
    let address = remote_url
        .strip_prefix("https://")
        .or_else(|| remote_url.strip_prefix("http://"))
        .filter(|address| address.bytes().all(plain));
    let mut parts = address.unwrap_or_default().trim_end_matches('/').splitn(2, '/');
    let (Some(host), Some(path)) = (parts.next(), parts.next()) else {
        return Err(Failure::other("the remote's address is not an http address of a repository"));
    };
    let mut names = path.rsplit('/');
    let (Some(name), Some(owner)) = (names.next(), names.next()) else {
        return Err(Failure::other("the remote's address does not end in owner/name.git"));
    };
    let host = host.split(':').next().unwrap_or_default();
    let routed = format!(
        "{DEFAULTS}[url \"http://{}/git/{owner}/{name}\"]\n\tinsteadOf = {remote_url}\n\
         \tinsteadOf = git@{host}:{path}\n\tinsteadOf = ssh://git@{host}/{path}\n",
        config.proxy
    );
    for file in [agents_config(config), own_config(config)] {
        std::fs::write(file, &routed)?;
    }
    Ok(())
}
