//! Configuration: flags, then the environment (`PADDOCK_*`), then a TOML file, then defaults.
//!
//! A secret is given by a file or the environment, never by a flag; `paddock config check` prints the
//! effective values with secrets hidden.

mod admins;
mod audit;
mod credentials;
mod kubernetes;
mod sign_in;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use api::settings::{Configured, Layer, Place};
use clap::Args;
use domain::settings::{Limits, Retention};
use serde::{Deserialize, Serialize};
use url::Url;

use self::admins::admins;
pub(crate) use self::{
    admins::ConfiguredAdmin,
    audit::AuditKeys,
    credentials::CredentialStore,
    kubernetes::Kubernetes,
    sign_in::{Oidc, SignIn},
};

/// A secret value. Never printed, never serialised.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(Self(value.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

/// What there is to try out in a demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Demo {
    pub(crate) repo: String,
    pub(crate) issue: u64,
}

impl std::str::FromStr for Demo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not owner/name#issue";
        let (repo, issue) = text.split_once('#').ok_or(FORM)?;
        Ok(Self { repo: repo.to_owned(), issue: issue.parse().map_err(|_| FORM)? })
    }
}

impl TryFrom<String> for Demo {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Demo> for String {
    fn from(demo: Demo) -> Self {
        format!("{}#{}", demo.repo, demo.issue)
    }
}

macro_rules! layered {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: Option<$ty>,)+
        }

        impl $name {
            /// These values, and those of `below` where there are none.
            fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)+ }
            }
        }
    };
}

layered!(
    /// What the control plane can be told.
    Settings {
        /// Where people and their browsers reach it.
        #[arg(long, env = "PADDOCK_LISTEN", value_name = "ADDR")]
        listen: SocketAddr,
        /// Where sidecars reach it; serves nothing else.
        #[arg(long, env = "PADDOCK_LINK_LISTEN", value_name = "ADDR")]
        link_listen: SocketAddr,
        /// Where egress gateways reach it; serves nothing else.
        #[arg(long, env = "PADDOCK_GATEWAY_LISTEN", value_name = "ADDR")]
        gateway_listen: SocketAddr,
        /// Health, readiness and metrics.
        #[arg(long, env = "PADDOCK_ADMIN_LISTEN", value_name = "ADDR")]
        admin_listen: SocketAddr,
        /// The address that people use, where it differs from the one listened on.
        #[arg(long, env = "PADDOCK_PUBLIC_URL", value_name = "URL")]
        public_url: Url,
        /// PostgreSQL, as the serving role.
        #[arg(long, env = "PADDOCK_DATABASE_URL", value_name = "URL", hide_env_values = true)]
        database_url: Secret,
        /// NATS with JetStream.
        #[arg(long, env = "PADDOCK_NATS_URL", value_name = "URL", hide_env_values = true)]
        nats_url: Secret,
        /// GitHub's REST API, or that of an Enterprise host.
        #[arg(long, env = "PADDOCK_GITHUB_API_URL", value_name = "URL")]
        github_api_url: Url,
        /// Where repositories are cloned from.
        #[arg(long, env = "PADDOCK_GITHUB_URL", value_name = "URL")]
        github_url: Url,
        /// A file that holds a token with the right to push and to open pull requests.
        #[arg(long, env = "PADDOCK_GITHUB_TOKEN_FILE", value_name = "FILE")]
        github_token_file: PathBuf,
        /// Where the credentials that people register are kept: file:///directory, sealed with the key in it, or
        /// kubernetes://namespace, as its Secrets. A directory of the data directory unless told otherwise.
        #[arg(long, env = "PADDOCK_CREDENTIAL_STORE", value_name = "URL")]
        credential_store: Url,
        /// Whether people may register classic tokens, which are good for every repository of their owner.
        #[arg(long, env = "PADDOCK_CLASSIC_TOKENS", value_name = "BOOL")]
        classic_tokens: bool,
        /// Where bundles are kept: file:///directory, http://host:port of `paddock artifacts`, or s3://bucket/prefix
        /// with the AWS_* variables for the rest.
        #[arg(long, env = "PADDOCK_ARTIFACT_STORE", value_name = "URL")]
        artifact_store: Url,
        /// A file that holds what `paddock artifacts` wants to be shown.
        #[arg(long, env = "PADDOCK_ARTIFACT_TOKEN_FILE", value_name = "FILE")]
        artifact_token_file: PathBuf,
        /// A file that holds what gateways authenticate with.
        #[arg(long, env = "PADDOCK_GATEWAY_TOKEN_FILE", value_name = "FILE")]
        gateway_token_file: PathBuf,
        /// The model that agents use, as provider/model.
        #[arg(long, env = "PADDOCK_MODEL", value_name = "PROVIDER/MODEL")]
        model: String,
        /// The model provider's base URL, such as https://api.openai.com/v1: looked at for the page only.
        #[arg(long, env = "PADDOCK_MODEL_URL", value_name = "URL")]
        model_url: Url,
        /// The repository and issue that newcomers are shown, as owner/name#1: `up --demo` sets it.
        #[arg(long, env = "PADDOCK_DEMO", value_name = "ISSUE", hide = true)]
        demo: Demo,
        /// How many runs may be active at once.
        #[arg(long, env = "PADDOCK_MAX_RUNS", value_name = "N")]
        max_runs: u32,
        /// How many runs of one person may be active at once.
        #[arg(long, env = "PADDOCK_MAX_RUNS_PER_OWNER", value_name = "N")]
        max_runs_per_owner: u32,
        /// Which hosts runs may reach beside the forge and the model, several with commas between them: example.org,
        /// or .example.org for every name below it. People may change this and the next four while it runs.
        #[arg(long, env = "PADDOCK_EGRESS_ALLOW", value_name = "HOSTS")]
        egress_allow: String,
        /// How many minutes a bundle stays that a newer one of the same run superseded.
        #[arg(long, env = "PADDOCK_SUPERSEDED_BUNDLE_MINUTES", value_name = "N")]
        superseded_bundle_minutes: u32,
        /// How many days a session's older bundles stay; as long as the session unless told otherwise.
        #[arg(long, env = "PADDOCK_BUNDLE_DAYS", value_name = "N")]
        bundle_days: u32,
        /// How many days a run's output stays after its end; as long as the session unless told otherwise.
        #[arg(long, env = "PADDOCK_OUTPUT_DAYS", value_name = "N")]
        output_days: u32,
        /// How many hours an upload that broke off may be gone on with.
        #[arg(long, env = "PADDOCK_PARTIAL_UPLOAD_HOURS", value_name = "N")]
        partial_upload_hours: u32,
        /// The data directory of the local adapter.
        #[arg(long, env = "PADDOCK_DATA_DIR", value_name = "DIR")]
        data_dir: PathBuf,
        /// The program that runs inside sandboxes; beside this program unless told otherwise.
        #[arg(long, env = "PADDOCK_HARNESS", value_name = "FILE")]
        harness: PathBuf,
        /// The OpenCode program.
        #[arg(long, env = "PADDOCK_OPENCODE", value_name = "FILE")]
        opencode: PathBuf,
        /// Runs are pods in this namespace of the cluster that the kubeconfig names, or that this is in.
        #[arg(long, env = "PADDOCK_KUBERNETES_NAMESPACE", value_name = "NAME")]
        kubernetes_namespace: String,
        /// The image of a run's sidecar: it holds `paddock` and `paddock-harness`.
        #[arg(long, env = "PADDOCK_SIDECAR_IMAGE", value_name = "IMAGE")]
        sidecar_image: String,
        /// The image of the agent's container: any that holds `opencode` and `git`.
        #[arg(long, env = "PADDOCK_HARNESS_IMAGE", value_name = "IMAGE")]
        harness_image: String,
        /// When images of runs are pulled: Always, IfNotPresent or Never.
        #[arg(long, env = "PADDOCK_IMAGE_PULL_POLICY", value_name = "WHEN")]
        image_pull_policy: String,
        /// The RuntimeClass of runs, such as one of gVisor or Kata.
        #[arg(long, env = "PADDOCK_RUNTIME_CLASS", value_name = "NAME")]
        runtime_class: String,
        /// The labels that a node has to have for runs to be put there: key=value, several with commas between them.
        #[arg(long, env = "PADDOCK_KUBERNETES_NODE_SELECTOR", value_name = "LABELS")]
        kubernetes_node_selector: String,
        /// The taints of nodes on which runs may be put all the same, as kubectl writes them: key=value:Effect,
        /// key:Effect or key, several with commas between them.
        #[arg(long, env = "PADDOCK_KUBERNETES_TOLERATIONS", value_name = "TAINTS")]
        kubernetes_tolerations: String,
        /// The link listener as pods reach it: an address, as pods resolve no names.
        #[arg(long, env = "PADDOCK_LINK_ADDRESS", value_name = "ADDR")]
        link_address: SocketAddr,
        /// The gateway's listener for runs as pods reach it.
        #[arg(long, env = "PADDOCK_EGRESS_ADDRESS", value_name = "ADDR")]
        egress_address: SocketAddr,
        /// The gateway's listener for runs that may reach any public host, as pods reach it. Without it no
        /// run on the cluster is given egress `full`.
        #[arg(long, env = "PADDOCK_EGRESS_FULL_ADDRESS", value_name = "ADDR")]
        egress_full_address: SocketAddr,
        /// A listener that no run may reach: the proof of a run's fence tries it.
        #[arg(long, env = "PADDOCK_CANARY_LISTEN", value_name = "ADDR")]
        canary_listen: SocketAddr,
        /// The same as pods would dial it, where it differs.
        #[arg(long, env = "PADDOCK_CANARY_ADDRESS", value_name = "ADDR")]
        canary_address: SocketAddr,
        /// Who may ask for sessions and runs by objects on the cluster: the exact name that its API server
        /// authenticates, several with commas between them. Nobody unless told otherwise.
        #[arg(long, env = "PADDOCK_KUBERNETES_REQUESTERS", value_name = "NAMES")]
        kubernetes_requesters: String,
        /// The OpenID provider at which people sign in: its issuer, exactly as it writes it.
        #[arg(long, env = "PADDOCK_OIDC_ISSUER", value_name = "URL")]
        oidc_issuer: String,
        /// What the provider knows this server by.
        #[arg(long, env = "PADDOCK_OIDC_CLIENT_ID", value_name = "ID")]
        oidc_client_id: String,
        /// What this server proves that with, where it is no public client; in the environment or in a file.
        #[arg(long, env = "PADDOCK_OIDC_CLIENT_SECRET", hide_env_values = true, hide = true)]
        oidc_client_secret: Secret,
        /// A file that holds the same.
        #[arg(long, env = "PADDOCK_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
        oidc_client_secret_file: PathBuf,
        /// The claim that holds a person's groups; a dot leads into an object.
        #[arg(long, env = "PADDOCK_OIDC_GROUPS_CLAIM", value_name = "NAME")]
        oidc_groups_claim: String,
        /// What is asked of the provider beside `openid`, with spaces between; `profile email`, and `groups` where
        /// it offers that, unless told otherwise.
        #[arg(long, env = "PADDOCK_OIDC_SCOPES", value_name = "SCOPES")]
        oidc_scopes: String,
        /// How many minutes a browser may rest before it is signed out.
        #[arg(long, env = "PADDOCK_SESSION_IDLE_MINUTES", value_name = "N")]
        session_idle_minutes: u32,
        /// How many hours a browser stays signed in at most.
        #[arg(long, env = "PADDOCK_SESSION_MAX_HOURS", value_name = "N")]
        session_max_hours: u32,
        /// Who is an admin before anybody was made one: group:NAME for a group of the identity provider, user:SUBJECT
        /// for whom it calls by exactly that subject; several with commas between them.
        #[arg(long, env = "PADDOCK_ADMINS", value_name = "WHO")]
        admins: String,
        /// Where the adapter of the cluster is: here, or elsewhere, which is `paddock k8s-adapter`.
        #[arg(long, env = "PADDOCK_ADAPTER", value_name = "WHERE")]
        adapter: Where,
        /// A file with the key that checkpoints of the log are signed with; `paddock audit keygen` makes one. Without
        /// it nothing is signed.
        #[arg(long, env = "PADDOCK_AUDIT_KEY_FILE", value_name = "FILE")]
        audit_key_file: PathBuf,
        /// A file with the key before it, while that hands over to it.
        #[arg(long, env = "PADDOCK_AUDIT_PREVIOUS_KEY_FILE", value_name = "FILE")]
        audit_previous_key_file: PathBuf,
        /// A file outside of the database in which the signer remembers what it signed last: it signs nothing that
        /// does not go on from that.
        #[arg(long, env = "PADDOCK_AUDIT_MEMORY_FILE", value_name = "FILE")]
        audit_memory_file: PathBuf,
        /// A witness that cosigns checkpoints (C2SP tlog-witness): they are sent to add-checkpoint below this.
        #[arg(long, env = "PADDOCK_AUDIT_WITNESS_URL", value_name = "URL")]
        audit_witness_url: Url,
        /// The namespace of Paddock's own pods, where the control plane and the gateway are pods too.
        #[arg(long, env = "PADDOCK_OWN_NAMESPACE", value_name = "NAME")]
        own_namespace: String,
    }
);

/// What has commas between it.
fn listed(of: Option<&str>) -> impl Iterator<Item = &str> {
    of.into_iter().flat_map(|all| all.split(',')).map(str::trim).filter(|one| !one.is_empty())
}

/// `paddock serve`'s flags.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// A TOML file with the same names as the flags, with underscores.
    #[arg(long, env = "PADDOCK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `paddock egress`'s flags.
#[derive(Args, Clone, Debug)]
pub(crate) struct EgressArgs {
    /// The directory in which each run gets a socket of its own.
    #[arg(long, env = "PADDOCK_EGRESS_SOCKETS", value_name = "DIR")]
    pub(crate) sockets: PathBuf,
    /// The control plane's listener for gateways.
    #[arg(long, env = "PADDOCK_GATEWAY_URL", value_name = "URL")]
    pub(crate) control_url: Url,
    /// A file that holds what it authenticates with there.
    #[arg(long, env = "PADDOCK_GATEWAY_TOKEN_FILE", value_name = "FILE")]
    pub(crate) control_token_file: PathBuf,
    /// The model provider's base URL, such as https://api.openai.com/v1.
    #[arg(long, env = "PADDOCK_MODEL_URL", value_name = "URL")]
    pub(crate) model_url: Option<Url>,
    /// A file that holds the provider's key.
    #[arg(long, env = "PADDOCK_MODEL_KEY_FILE", value_name = "FILE")]
    pub(crate) model_key_file: Option<PathBuf>,
    /// Where repositories are cloned from.
    #[arg(long, env = "PADDOCK_GITHUB_URL", value_name = "URL", default_value = DEFAULT_GITHUB_URL)]
    pub(crate) github_url: Url,
    /// A file that holds a token with the right to push.
    #[arg(long, env = "PADDOCK_GITHUB_TOKEN_FILE", value_name = "FILE")]
    pub(crate) github_token_file: Option<PathBuf>,
    /// A host that runs may reach by CONNECT, `example.org` or `.example.org`; may be repeated.
    #[arg(
        long = "allow",
        env = "PADDOCK_EGRESS_ALLOW",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(crate) allow: Vec<String>,
    /// Where it keeps what must outlive a restart of its own.
    #[arg(long, env = "PADDOCK_EGRESS_STATE", value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Where health and readiness are served, if anywhere.
    #[arg(long, env = "PADDOCK_EGRESS_ADMIN_LISTEN", value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where runs on other machines reach it, each through its own door.
    #[arg(long, env = "PADDOCK_EGRESS_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The same for runs that may reach any public host: on a cluster only their network policy opens it.
    #[arg(long, env = "PADDOCK_EGRESS_FULL_LISTEN", value_name = "ADDR")]
    pub(crate) full_listen: Option<SocketAddr>,
}

/// `paddock artifacts`' flags.
#[derive(Args, Clone, Debug)]
pub(crate) struct ArtifactsArgs {
    /// Where the control plane reaches it.
    #[arg(
        long,
        env = "PADDOCK_ARTIFACTS_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:7084"
    )]
    pub(crate) listen: SocketAddr,
    /// Health and readiness.
    #[arg(
        long,
        env = "PADDOCK_ADMIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:7085"
    )]
    pub(crate) admin_listen: SocketAddr,
    /// The directory of the store, such as a volume that is mounted there. Nobody else may write to it.
    #[arg(long, env = "PADDOCK_ARTIFACTS_DIR", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// A file that holds what those who ask have to show.
    #[arg(long, env = "PADDOCK_ARTIFACT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: PathBuf,
}

/// GitHub itself.
pub(crate) const DEFAULT_GITHUB_URL: &str = "https://github.com";
/// GitHub's REST API.
pub(crate) const DEFAULT_GITHUB_API_URL: &str = "https://api.github.com";

/// What the control plane runs with: every value decided.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Effective {
    pub(crate) listen: SocketAddr,
    pub(crate) link_listen: SocketAddr,
    pub(crate) gateway_listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) public_url: Url,
    pub(crate) database_url: Secret,
    pub(crate) nats_url: Secret,
    pub(crate) github_api_url: Url,
    pub(crate) github_url: Url,
    pub(crate) github_token: Option<Secret>,
    pub(crate) credential_store: CredentialStore,
    pub(crate) classic_tokens: bool,
    pub(crate) artifact_store: Url,
    pub(crate) artifact_token: Option<Secret>,
    pub(crate) gateway_token: Secret,
    pub(crate) model: String,
    pub(crate) model_url: Option<Url>,
    pub(crate) demo: Option<Demo>,
    /// What people may change while it runs.
    pub(crate) installation: Configured,
    pub(crate) data_dir: PathBuf,
    pub(crate) harness: PathBuf,
    pub(crate) opencode: PathBuf,
    pub(crate) admins: Vec<ConfiguredAdmin>,
    pub(crate) kubernetes: Option<Kubernetes>,
    pub(crate) adapter: Where,
    pub(crate) sign_in: SignIn,
    pub(crate) audit: Option<AuditKeys>,
    pub(crate) audit_witness_url: Option<Url>,
}

/// Where a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Where {
    /// In this process.
    #[default]
    Here,
    /// In another one.
    Elsewhere,
}

/// The file's form: the settings, and what has no flag.
#[derive(Default, Deserialize)]
struct File {
    #[serde(flatten)]
    settings: toml::Table,
    #[serde(default)]
    profiles: api::profiles::Profiles,
}

impl ServeArgs {
    /// Puts the layers together and checks the result.
    pub(crate) fn effective(self) -> anyhow::Result<Effective> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let below: Settings = file.settings.try_into().context("the configuration file")?;
        let settings = self.settings.over(below);
        let kubernetes = Kubernetes::of(&settings)?;
        let adapter = settings.adapter.unwrap_or_default();
        if adapter == Where::Elsewhere && kubernetes.is_none() {
            bail!(
                "adapter = elsewhere: only that of a cluster is a process of its own; set \
                 PADDOCK_KUBERNETES_NAMESPACE, or leave it here"
            );
        }
        let oidc = Oidc::of(&settings)?;
        let audit = AuditKeys::of(&settings)?;
        let installation = installation(&settings, file.profiles)?;
        let data_dir = match settings.data_dir {
            Some(dir) => dir,
            None => default_data_dir()?,
        };
        let listen = settings.listen.unwrap_or(([127, 0, 0, 1], 7080).into());
        if !listen.ip().is_loopback() && oidc.is_none() {
            bail!(
                "listen = {listen}: only loopback addresses are served where people cannot sign in at \
                 an OpenID provider; set PADDOCK_OIDC_ISSUER and PADDOCK_OIDC_CLIENT_ID, or use \
                 127.0.0.1 and an SSH tunnel"
            );
        }
        let public_url = match settings.public_url {
            Some(url) => url,
            None => Url::parse(&format!("http://{listen}"))?,
        };
        let sign_in = SignIn {
            links: listen.ip().is_loopback() && oidc.is_none(),
            oidc,
            idle_minutes: ranged(
                settings.session_idle_minutes,
                720,
                "session_idle_minutes",
                43_200,
            )?,
            max_hours: ranged(settings.session_max_hours, 168, "session_max_hours", 2_160)?,
        };
        if sign_in.oidc.is_some() && !is_private(&public_url) {
            bail!(
                "public_url = {public_url}: people sign in over https alone; set PADDOCK_PUBLIC_URL to \
                 the https address that they use"
            );
        }
        let artifact_store = match settings.artifact_store {
            Some(url) => url,
            None => file_url(&data_dir.join("artifacts"))?,
        };
        let admins = admins(settings.admins.as_deref())?;
        Ok(Effective {
            listen,
            admins,
            link_listen: settings.link_listen.unwrap_or(([127, 0, 0, 1], 7082).into()),
            gateway_listen: settings.gateway_listen.unwrap_or(([127, 0, 0, 1], 7083).into()),
            admin_listen: settings.admin_listen.unwrap_or(([127, 0, 0, 1], 7081).into()),
            public_url,
            database_url: required(settings.database_url, "PADDOCK_DATABASE_URL")?,
            nats_url: required(settings.nats_url, "PADDOCK_NATS_URL")?,
            github_api_url: match settings.github_api_url {
                Some(url) => url,
                None => Url::parse(DEFAULT_GITHUB_API_URL)?,
            },
            github_url: match settings.github_url {
                Some(url) => url,
                None => Url::parse(DEFAULT_GITHUB_URL)?,
            },
            github_token: settings.github_token_file.as_deref().map(read_secret).transpose()?,
            credential_store: match &settings.credential_store {
                Some(url) => url.try_into()?,
                None => CredentialStore::Directory(data_dir.join("credentials")),
            },
            classic_tokens: settings.classic_tokens.unwrap_or(false),
            artifact_store,
            artifact_token: settings.artifact_token_file.as_deref().map(read_secret).transpose()?,
            gateway_token: read_secret(&required(
                settings.gateway_token_file,
                "PADDOCK_GATEWAY_TOKEN_FILE",
            )?)?,
            model: required(settings.model, "PADDOCK_MODEL")?,
            model_url: settings.model_url,
            demo: settings.demo,
            installation,
            data_dir,
            harness: match settings.harness {
                Some(path) => path,
                // In a cluster it is in the sidecar's image.
                None if kubernetes.is_some() => PathBuf::from("paddock-harness"),
                None => beside_this_program("paddock-harness")?,
            },
            opencode: match settings.opencode {
                None if kubernetes.is_some() => PathBuf::from("opencode"),
                opencode => required(opencode, "PADDOCK_OPENCODE")?,
            },
            kubernetes,
            adapter,
            sign_in,
            audit,
            audit_witness_url: settings.audit_witness_url,
        })
    }
}

/// A number from 1 to `most`.
fn ranged(value: Option<u32>, usual: u32, name: &str, most: u32) -> anyhow::Result<u32> {
    match value.unwrap_or(usual) {
        value if (1..=most).contains(&value) => Ok(value),
        value => bail!("{name} = {value}: it is from 1 to {most}"),
    }
}

/// Whether nobody on the way can read or change what goes to this address.
fn is_private(url: &Url) -> bool {
    match url.host() {
        _ if url.scheme() == "https" => true,
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What people may change while it runs, as the settings have it.
fn installation(
    settings: &Settings,
    profiles: api::profiles::Profiles,
) -> anyhow::Result<Configured> {
    let (limits, kept) = (Limits::default(), Retention::default());
    let hosts = settings.egress_allow.iter().flat_map(|hosts| hosts.split(','));
    let hosts = hosts.map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned);
    let configured = Configured {
        limits: Layer {
            value: Limits {
                max_runs: settings.max_runs.unwrap_or(limits.max_runs),
                max_runs_per_owner: settings
                    .max_runs_per_owner
                    .unwrap_or(limits.max_runs_per_owner),
            },
            given: settings.max_runs.is_some() || settings.max_runs_per_owner.is_some(),
        },
        allow_list: Layer { value: hosts.collect(), given: settings.egress_allow.is_some() },
        retention: Layer {
            value: Retention {
                superseded_bundle_minutes: settings
                    .superseded_bundle_minutes
                    .unwrap_or(kept.superseded_bundle_minutes),
                bundle_days: settings.bundle_days,
                output_days: settings.output_days,
                partial_upload_hours: settings
                    .partial_upload_hours
                    .unwrap_or(kept.partial_upload_hours),
            },
            given: settings.superseded_bundle_minutes.is_some()
                || settings.bundle_days.is_some()
                || settings.output_days.is_some()
                || settings.partial_upload_hours.is_some(),
        },
        profiles,
        place: match settings.kubernetes_namespace {
            Some(_) => Place::Cluster,
            None => Place::Machine,
        },
    };
    let faults = configured.faults();
    if !faults.is_empty() {
        let lines = faults.iter().map(|fault| format!("{} {}", fault.field, fault.words));
        bail!("{}", lines.collect::<Vec<_>>().join("\n"));
    }
    Ok(configured)
}

fn required<T>(value: Option<T>, name: &str) -> anyhow::Result<T> {
    let flag = name.trim_start_matches("PADDOCK_").to_lowercase();
    value.with_context(|| {
        format!("{name} is not set: give it in the environment or as `{flag}` in the file")
    })
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// Reads a secret from its file, without the line's end.
pub(crate) fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in {}", path.display()))?;
    let text = text.trim();
    if text.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(Secret(text.to_owned()))
}

/// `dir` as a `file://` URL.
pub(crate) fn file_url(dir: &Path) -> anyhow::Result<Url> {
    Url::from_directory_path(dir).map_err(|()| anyhow::anyhow!("{} is not absolute", dir.display()))
}

/// Where `paddock up` keeps its data: below /var/lib as root, in the user's data directory otherwise.
pub(crate) fn default_data_dir() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/paddock"));
    }
    if let Some(dir) = std::env::var_os("XDG_DATA_HOME") {
        return Ok(PathBuf::from(dir).join("paddock"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set: name a --data-dir")?;
    Ok(PathBuf::from(home).join(".local/share/paddock"))
}

/// A program that was installed beside this one.
pub(crate) fn beside_this_program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let path = own.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        bail!("{} is missing: it is built and installed with paddock", path.display())
    }
}

#[cfg(test)]
mod tests;
