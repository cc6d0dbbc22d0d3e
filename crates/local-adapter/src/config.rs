use std::path::PathBuf;

use domain::ids::RunId;
use url::Url;

/// What the adapter works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The program inside.
    pub harness_bin: PathBuf,
    /// The agent's program.
    pub opencode_bin: PathBuf,
    /// The program that is the sidecar too.
    pub paddock_bin: PathBuf,
    /// The link listener's WebSocket.
    pub link_url: Url,
    /// Where bundles go beside the link.
    pub bundles_url: Url,
    /// An address that sidecars reach and sandboxes must not.
    pub canary_addr: String,
    /// The directory in which the gateway makes a socket for each run.
    pub gateway_sockets: PathBuf,
    /// The first host uid for runs, when started as root.
    pub uid_base: u32,
}

impl Config {
    /// Where the gateway offers a run's socket.
    pub(crate) fn gateway_socket(&self, run: RunId) -> PathBuf {
        self.gateway_sockets.join(run.to_string()).join("gateway.sock")
    }
}
