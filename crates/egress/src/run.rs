//! The gateway as a whole: pulls, listens, reports, until it is told to stop.

use std::{fs, io, os::unix::fs::PermissionsExt as _, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    config::Config,
    control::Control,
    credential::Credentials,
    decision::{DecisionLog, Reporter},
    gateway::{Doors, Gateway},
    limits::Limits,
    listener::Listeners,
    policy::{Policies, Policy, PolicyFile, Puller},
    proxy::{self, Network},
    tunnel,
    upstream::Upstream,
};

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or a listener.
    #[error("{0}")]
    Io(&'static str, #[source] io::Error),
    /// An HTTP client.
    #[error("an HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
    /// A credential with bytes that no header takes.
    #[error("the {0} credential holds characters that HTTP does not allow")]
    Credential(&'static str),
    /// An upstream that is no `http` or `https` URL, or has a user name or password in it.
    #[error("the {0} upstream is not a plain http or https URL without user name and password")]
    Upstream(&'static str),
}

/// Runs the gateway until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    run_on(proxy::system(), Limits::default(), config, shutdown).await
}

/// Runs the gateway on another network than the system's or with other limits, for tests.
pub async fn run_on(
    network: Arc<dyn Network>,
    limits: Limits,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    // Fails if there is a provider already: then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    raise_file_limit();
    prepare(&config).map_err(|error| Error::Io("the state directory", error))?;
    let log = DecisionLog::open(&config.state.join("decisions.jsonl"))
        .map_err(|error| Error::Io("the journal of decisions", error))?;
    let control = Control::new(&config.control_url, &config.control_token)?;
    let credentials = Credentials::new(control.clone());
    let gateway = Arc::new(Gateway {
        model: config.model.as_ref().map(Upstream::model).transpose()?,
        git: Upstream::git(&config.git)?,
        credentials: credentials.clone(),
        allow: config.allow,
        network,
        log: log.clone(),
        limits,
    });
    let puller = Puller::new(control.clone(), PolicyFile::new(&config.state));
    let policies = puller.subscribe();
    let admin = match config.admin_listen {
        Some(address) => Some(
            admin::bind(address).await.map_err(|error| Error::Io("the admin listener", error))?,
        ),
        None => None,
    };
    let mut tcp = vec![];
    for (address, wide) in [(config.listen, false), (config.full_listen, true)] {
        let Some(address) = address else { continue };
        let listener = tunnel::bind(address).await;
        tcp.push((listener.map_err(|error| Error::Io("a listener for runs", error))?, wide));
    }
    let doors = Doors::default();
    let listeners = Listeners::new(gateway, &config.sockets, doors.clone())
        .map_err(|error| Error::Io("the directory of sockets", error))?;

    // What still reports must outlive what is reported on.
    let drained = CancellationToken::new();
    let reporter = tokio::spawn(Reporter { control, log: log.clone() }.run(drained.clone()));
    let pulling = tokio::spawn(puller.run(shutdown.clone()));
    let forgetting = tokio::spawn(forget(credentials, policies.clone(), shutdown.clone()));
    let serving = admin.map(|listener| {
        tokio::spawn(admin::serve(listener, log, policies.clone(), shutdown.clone()))
    });
    let tunnels: Vec<_> = tcp
        .into_iter()
        .map(|(listener, wide)| tokio::spawn(tunnel::serve(listener, doors.clone(), limits, wide)))
        .collect();
    listeners.run(policies, shutdown.clone()).await;
    for tunnel in tunnels {
        let _ = tunnel.await;
    }
    drained.cancel();
    let _ = tokio::join!(reporter, pulling, forgetting);
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    Ok(())
}

/// Lets go of credentials as soon as the policies say that they count no longer.
async fn forget(
    credentials: Credentials,
    mut policies: watch::Receiver<Option<Policies>>,
    shutdown: CancellationToken,
) {
    loop {
        let wanted = policies.borrow_and_update().as_ref().map(|policies| {
            let of = |policy: &Policy| Some((policy.run, policy.credential?));
            policies.runs.iter().filter_map(of).collect()
        });
        if let Some(wanted) = wanted {
            credentials.keep_only(&wanted);
        }
        let changed = shutdown.run_until_cancelled(policies.changed()).await;
        if !matches!(changed, Some(Ok(()))) {
            return;
        }
    }
}

fn prepare(config: &Config) -> io::Result<()> {
    fs::create_dir_all(&config.state)?;
    // The sockets may be inside: passing through is allowed, looking is not.
    fs::set_permissions(&config.state, fs::Permissions::from_mode(0o711))
}

/// A tunnel takes two descriptors, and the usual soft limit is 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
