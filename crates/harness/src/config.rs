use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Unix socket that the sidecar dials.
    pub socket: PathBuf,
    /// The gateway's Unix socket; without one the sidecar says where the gateway is.
    pub gateway: Option<PathBuf>,
    /// The loopback address at which the gateway is offered inside.
    pub proxy: SocketAddr,
    /// The directory that holds the repository as `repo`.
    pub workspace: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
    /// The OpenCode program.
    pub opencode: PathBuf,
    /// What the run's profile puts into the agent's environment.
    pub agent_env: Vec<(String, OsString)>,
}

/// A variable for the agent, as `NAME=VALUE`, or by its `NAME` out of this process's own environment; none where
/// it is not there.
#[must_use]
pub fn variable(text: &str) -> Option<(String, OsString)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.into())),
        None => std::env::var_os(text).map(|value| (text.to_owned(), value)),
    }
}

impl Config {
    /// The repository, at the same path in every run: OpenCode's sessions name it.
    pub(crate) fn repository(&self) -> PathBuf {
        self.workspace.join("repo")
    }

    /// OpenCode's state.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.join(".local/share/opencode")
    }

    /// What the harness keeps for a moment: on the run's own disk, in no bundle. Made anew where the agent
    /// has tidied it away.
    pub(crate) fn own(&self) -> std::io::Result<PathBuf> {
        let own = self.home.join(".local/state/paddock");
        std::fs::create_dir_all(&own)?;
        Ok(own)
    }

    /// Where programs are looked for: as the image says.
    pub(crate) fn search_path() -> OsString {
        std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
    }

    /// The proxy's address, as the usual environment variables want it.
    pub(crate) fn proxy_environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let proxy = format!("http://{}", self.proxy);
        ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
            .map(|name| (name, proxy.clone()))
            .into_iter()
            // Else loopback goes through the proxy too.
            .chain(
                ["NO_PROXY", "no_proxy"].map(|name| (name, "localhost,127.0.0.1,::1".to_owned())),
            )
    }
}
