//! The parts in the order in which they start, and end in the reverse.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};

use super::{
    UpArgs,
    child::{Spec, Supervised},
    demo,
    layout::{Layout, free_port, loopback, write_private},
    nats,
    postgres::Postgres,
    records::Records,
    settings_of,
};
use crate::{
    cli::{Announced, CliError, Client, log::Backends},
    config::{Secret, Settings, file_url},
};

/// What is passed on to gateway and control plane where runs are to be pods of a cluster.
const CLUSTER: [&str; 20] = [
    "KUBECONFIG",
    "PADDOCK_KUBERNETES_NAMESPACE",
    "PADDOCK_OWN_NAMESPACE",
    "PADDOCK_SIDECAR_IMAGE",
    "PADDOCK_HARNESS_IMAGE",
    "PADDOCK_IMAGE_PULL_POLICY",
    "PADDOCK_RUNTIME_CLASS",
    "PADDOCK_KUBERNETES_NODE_SELECTOR",
    "PADDOCK_KUBERNETES_TOLERATIONS",
    "PADDOCK_LINK_LISTEN",
    "PADDOCK_LINK_ADDRESS",
    "PADDOCK_EGRESS_LISTEN",
    "PADDOCK_EGRESS_ADDRESS",
    "PADDOCK_EGRESS_FULL_LISTEN",
    "PADDOCK_EGRESS_FULL_ADDRESS",
    "PADDOCK_CANARY_LISTEN",
    "PADDOCK_CANARY_ADDRESS",
    "HOME",
    // Of debug builds alone.
    "PADDOCK_FAILPOINTS",
    "PADDOCK_PLAYED_HOSTS",
];

/// What people may change while it runs: its first values.
const CHANGEABLE: [&str; 7] = [
    "PADDOCK_MAX_RUNS",
    "PADDOCK_MAX_RUNS_PER_OWNER",
    "PADDOCK_EGRESS_ALLOW",
    "PADDOCK_SUPERSEDED_BUNDLE_MINUTES",
    "PADDOCK_BUNDLE_DAYS",
    "PADDOCK_OUTPUT_DAYS",
    "PADDOCK_PARTIAL_UPLOAD_HOURS",
];

/// How long the control plane has to become ready.
const READY: Duration = Duration::from_mins(1);

/// Everything that `up` started.
pub(crate) struct Stack {
    layout: Layout,
    records: Records,
    args: UpArgs,
    json: bool,
    running: Vec<Supervised>,
}

/// What the gateway and the control plane are told about the world outside.
struct Outside {
    settings: Settings,
    model_url: Option<url::Url>,
    model_key_file: Option<PathBuf>,
}

impl Stack {
    /// Nothing runs yet.
    pub(crate) fn new(layout: Layout, args: UpArgs, json: bool) -> Self {
        let records = Records::load(layout.join("up.json"));
        Self { layout, records, args, json, running: vec![] }
    }

    /// Starts everything, or takes it over, and says where it is.
    pub(crate) async fn start(&mut self) -> anyhow::Result<Client> {
        self.say("starting PostgreSQL");
        let postgres = Postgres::prepare(&self.layout).await?;
        self.keep(postgres.spec())?;
        postgres.ready().await?;
        commands::migrate(postgres.owner_url().expose()).await.context("migrating the database")?;

        self.say("starting NATS");
        let (spec, nats_url) = nats::spec(&self.layout)?;
        self.keep(spec)?;

        let outside = if self.args.demo { self.start_demo().await? } else { self.real()? };
        self.say("starting the gateway and the control plane");
        self.keep(self.egress(&outside)?)?;
        let (spec, url) = self.serve(outside, &postgres.serve_url(), &nats_url)?;
        let serve = Supervised::renew(spec, self.layout.clone(), self.records.clone()).await?;
        self.running.push(serve);
        let backends = Backends {
            database_url: postgres.serve_url().expose().to_owned(),
            nats_url: nats_url.expose().to_owned(),
        };
        write_private(&Backends::path(self.layout.root()), &serde_json::to_vec(&backends)?)?;
        let url = self.wait_until_ready(url).await?;
        self.announce(&url, &postgres.serve_url()).await
    }

    /// Ends everything, the sandboxes too.
    pub(crate) async fn stop(&mut self) {
        // The control plane first: it would start again what ends.
        if let Some(serve) = self.running.pop() {
            serve.stop().await;
        }
        local_adapter::shutdown_all(self.layout.root()).await;
        while let Some(part) = self.running.pop() {
            part.stop().await;
        }
        let _ = std::fs::remove_file(Announced::path(self.layout.root()));
    }

    fn keep(&mut self, spec: Spec) -> anyhow::Result<()> {
        let part = Supervised::keep(spec, self.layout.clone(), self.records.clone())?;
        self.running.push(part);
        Ok(())
    }

    async fn start_demo(&mut self) -> anyhow::Result<Outside> {
        self.say("starting the demo's forge and model");
        let forge = demo::forge(&self.layout)?;
        let model = demo::model(&self.layout, self.args.scenarios.as_deref())?;
        self.keep(forge)?;
        self.keep(model)?;
        let announced = demo::announced(&self.layout).await?;
        Ok(Outside {
            settings: Settings {
                github_url: Some(announced.forge),
                github_api_url: Some(announced.forge_api),
                github_token_file: Some(self.layout.secret("forge")?),
                model: Some("paddock/scripted".to_owned()),
                demo: Some(demo::shown()),
                ..settings_of(&self.args)
            },
            model_url: Some(announced.model),
            model_key_file: Some(self.layout.secret("model")?),
        })
    }

    fn real(&self) -> anyhow::Result<Outside> {
        let settings = settings_of(&self.args);
        if settings.model.is_none() || self.args.model_url.is_none() {
            bail!(CliError::usage(
                "no model is configured: set PADDOCK_MODEL=provider/model, PADDOCK_MODEL_URL and \
                 PADDOCK_MODEL_KEY_FILE, and PADDOCK_GITHUB_TOKEN_FILE for pull requests; or try \
                 `paddock up --demo`, which needs none of them"
            ));
        }
        Ok(Outside {
            settings,
            model_url: self.args.model_url.clone(),
            model_key_file: self.args.model_key_file.clone(),
        })
    }

    fn egress(&self, outside: &Outside) -> anyhow::Result<Spec> {
        let mut spec = Spec::new("egress", std::env::current_exe()?)
            .arg("egress")
            .env("PADDOCK_EGRESS_SOCKETS", self.layout.join("egress/runs"))
            .env("PADDOCK_EGRESS_STATE", self.layout.join("egress"))
            .env("PADDOCK_GATEWAY_URL", format!("http://{}", loopback(self.layout.ports.gateway)))
            .env("PADDOCK_GATEWAY_TOKEN_FILE", self.layout.secret("gateway")?);
        if let Some(url) = &outside.model_url {
            spec = spec.env("PADDOCK_MODEL_URL", url.as_str());
        }
        if let Some(file) = &outside.model_key_file {
            spec = spec.env("PADDOCK_MODEL_KEY_FILE", file);
        }
        if let Some(url) = &outside.settings.github_url {
            spec = spec.env("PADDOCK_GITHUB_URL", url.as_str());
        }
        if let Some(file) = &outside.settings.github_token_file {
            spec = spec.env("PADDOCK_GITHUB_TOKEN_FILE", file);
        }
        Ok(with_cluster(spec))
    }

    /// How to start the control plane, and where it will be.
    fn serve(
        &self,
        outside: Outside,
        database_url: &Secret,
        nats_url: &Secret,
    ) -> anyhow::Result<(Spec, String)> {
        let listen = concrete(self.args.listen)?;
        let ports = self.layout.ports;
        let set = outside.settings;
        let mut spec = Spec::new("serve", std::env::current_exe()?)
            .arg("serve")
            .env("PADDOCK_LISTEN", listen.to_string())
            .env("PADDOCK_LINK_LISTEN", loopback(ports.link).to_string())
            .env("PADDOCK_GATEWAY_LISTEN", loopback(ports.gateway).to_string())
            .env("PADDOCK_ADMIN_LISTEN", loopback(ports.admin).to_string())
            .env("PADDOCK_DATABASE_URL", database_url.expose())
            .env("PADDOCK_NATS_URL", nats_url.expose())
            .env("PADDOCK_GATEWAY_TOKEN_FILE", self.layout.secret("gateway")?)
            .env("PADDOCK_ARTIFACT_STORE", file_url(&self.layout.join("artifacts"))?.as_str())
            .env("PADDOCK_DATA_DIR", self.layout.root())
            .env("PADDOCK_AUDIT_KEY_FILE", self.audit_key()?)
            .env("PADDOCK_AUDIT_MEMORY_FILE", self.layout.join("secrets/audit-signed"))
            .env("PADDOCK_OPENCODE", find_opencode(set.opencode)?);
        let optional = [
            ("PADDOCK_MODEL", set.model.map(Into::into)),
            ("PADDOCK_MODEL_URL", outside.model_url.map(|url| url.as_str().into())),
            ("PADDOCK_DEMO", set.demo.map(|demo| String::from(demo).into())),
            ("PADDOCK_GITHUB_URL", set.github_url.map(|url| url.as_str().into())),
            ("PADDOCK_GITHUB_API_URL", set.github_api_url.map(|url| url.as_str().into())),
            ("PADDOCK_GITHUB_TOKEN_FILE", set.github_token_file.map(PathBuf::into_os_string)),
            ("PADDOCK_CONFIG", self.args.config.clone().map(PathBuf::into_os_string)),
            ("PADDOCK_HARNESS", std::env::var_os("PADDOCK_HARNESS")),
            (
                "PADDOCK_AUDIT_PREVIOUS_KEY_FILE",
                std::env::var_os("PADDOCK_AUDIT_PREVIOUS_KEY_FILE"),
            ),
            ("PADDOCK_AUDIT_WITNESS_URL", std::env::var_os("PADDOCK_AUDIT_WITNESS_URL")),
        ];
        let changeable = CHANGEABLE.map(|name| (name, std::env::var_os(name)));
        for (name, value) in optional.into_iter().chain(changeable) {
            if let Some(value) = value {
                spec = spec.env(name, value);
            }
        }
        Ok((with_cluster(spec), format!("http://{listen}")))
    }

    /// The key of this installation's log: one that is given, or one of its own.
    fn audit_key(&self) -> anyhow::Result<PathBuf> {
        if let Some(given) = std::env::var_os("PADDOCK_AUDIT_KEY_FILE") {
            return Ok(given.into());
        }
        let path = self.layout.join("secrets/audit-key");
        if !path.exists() {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes)?;
            crate::cli::audit::generate(&format!("paddock.local/{}", hex::encode(bytes)), &path)?;
        }
        Ok(path)
    }

    async fn wait_until_ready(&self, url: String) -> anyhow::Result<String> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let ready = format!("http://{}/readyz", loopback(self.layout.ports.admin));
        let deadline = tokio::time::Instant::now() + READY;
        loop {
            let answer = http.get(&ready).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(url);
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "the control plane is not ready after {} s; see {}",
                    READY.as_secs(),
                    self.layout.join("log/serve.log").display()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets the command line find the server, and people sign in.
    async fn announce(&self, url: &str, database_url: &Secret) -> anyhow::Result<Client> {
        let pool = crate::serve::connect(database_url.expose())?;
        let context = commands::Context::system();
        let token = api::access::issue_local_token(&pool, &context).await?;
        let link = api::access::issue_sign_in_link(&pool, &context).await?;
        pool.close().await;
        let token_file = self.layout.join("secrets/cli-token");
        write_private(&token_file, token.as_bytes())?;
        let announced = Announced { url: url.to_owned(), token_file };
        write_private(
            &Announced::path(self.layout.root()),
            &serde_json::to_vec_pretty(&announced)?,
        )?;
        if self.json {
            println!("{}", serde_json::json!({ "url": url, "sign_in": format!("{url}{link}") }));
        } else {
            eprintln!("Paddock is at {url}");
            eprintln!("sign in (once, within ten minutes): {url}{link}");
        }
        Client::new(url, &token)
    }

    fn say(&self, what: &str) {
        if !self.json {
            eprintln!("{what} …");
        }
    }
}

/// The same with what it has to know of the cluster in which runs are to be pods, if in one.
fn with_cluster(spec: Spec) -> Spec {
    if std::env::var_os("PADDOCK_KUBERNETES_NAMESPACE").is_none() {
        return spec;
    }
    let set = CLUSTER.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    set.fold(spec, |spec, (name, value)| spec.env(name, value))
}

/// The address to listen on: a free port in place of port 0.
fn concrete(listen: std::net::SocketAddr) -> anyhow::Result<std::net::SocketAddr> {
    // A server of an earlier `up` may still hold the port: it is ended before ours starts.
    if listen.port() != 0 {
        return Ok(listen);
    }
    Ok(free_port(listen.ip())?.local_addr()?)
}

fn find_opencode(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return std::path::absolute(path).context("the OpenCode program");
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path)
        .map(|dir| dir.join("opencode"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            CliError::usage(
                "OpenCode is not installed: run scripts/setup, or name the program with --opencode \
                 or PADDOCK_OPENCODE",
            )
            .into()
        })
}
