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
pub(super) const SAFE: [&str; 21] = [
    "safe.directory=*",
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

/// The agent's own git configuration, which it may change: no step reads it.
pub(crate) fn agents_config(config: &Config) -> PathBuf {
    config.home.join(".gitconfig")
}

/// Writes the agent's configuration, where it is not there yet.
pub(crate) fn configure(config: &Config) -> Step<()> {
    let path = agents_config(config);
    if !path.exists() {
        std::fs::write(path, DEFAULTS)?;
    }
    Ok(())
}

/// Lets the agent's git reach `remote_url` through the gateway's route. The address itself stays in the
/// repository as people know it.
pub(super) fn offer(config: &Config, remote_url: &str) -> Step<()> {
    let address = Address::of(remote_url)?;
    let Address { host, path, .. } = address;
    let routed = format!(
        "{DEFAULTS}[url \"{}\"]\n\tinsteadOf = {remote_url}\n\tinsteadOf = git@{host}:{path}\n\
         \tinsteadOf = ssh://git@{host}/{path}\n",
        address.route(config)
    );
    std::fs::write(agents_config(config), routed)?;
    Ok(())
}

/// The setting by which a step takes the same way, whatever became of the agent's configuration.
pub(super) fn route(config: &Config, remote_url: &str) -> Step<String> {
    let route = Address::of(remote_url)?.route(config);
    Ok(format!("url.{route}.insteadOf={remote_url}"))
}

/// A repository's address as people know it.
struct Address<'a> {
    host: &'a str,
    path: &'a str,
    owner: &'a str,
    name: &'a str,
}

impl<'a> Address<'a> {
    fn of(remote_url: &'a str) -> Step<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:[]%".contains(&byte);
        let address =
            remote_url.strip_prefix("https://").or_else(|| remote_url.strip_prefix("http://"));
        let address = address.filter(|address| address.bytes().all(plain)).unwrap_or_default();
        let parts = address.split_once('/').and_then(|(host, path)| {
            let mut names = path.rsplit('/');
            let (name, owner) = (names.next()?, names.next()?);
            let host = host.split(':').next()?;
            Some(Self { host, path, owner, name })
        });
        parts.filter(|address| !address.name.is_empty() && !address.owner.is_empty()).ok_or_else(
            || Failure::other("the remote's address is not http(s) and owner/name.git at its end"),
        )
    }

    fn route(&self, config: &Config) -> String {
        format!("http://{}/git/{}/{}", config.proxy, self.owner, self.name)
    }
}
