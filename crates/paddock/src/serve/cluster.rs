//! The control plane on Kubernetes: how its parts meet the cluster.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use api::{
    AppState,
    link::{Identities, Unidentified},
    objects::{Asker, Objects, Refusal, RunWanted, SessionWanted},
    system::{Finding, PartName, Probe},
};
use commands::{Commands, Idempotency};
use domain::{
    event::Actor,
    ids::{Generation, RunId, SessionId},
};
use futures::future::BoxFuture;
use k8s_adapter::{
    Allowed, Asked, Config, Peer, Refused, Requests, Reviewer,
    crds::{Egress, HarnessRunSpec, SessionSpec},
};
use tokio::{net::TcpListener, time::Instant};
use uuid::Uuid;

use crate::config::Kubernetes;

/// How long a pod that is not recorded may still be: the adapter records it right after making it.
const NOT_YET: Duration = Duration::from_mins(1);

/// A client of the cluster that the kubeconfig names, or that this is in. The cluster's audit log tells the parts from
/// each other by what they are called: `paddock-adapter/0.1.0`.
pub(super) async fn client(part: &str) -> anyhow::Result<kube::Client> {
    // Fails if there is a provider already: then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::infer().await;
    let mut config = config.context("neither a kubeconfig nor a cluster around this")?;
    let name = format!("paddock-{part}/{}", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, name.parse()?));
    kube::Client::try_from(config).context("the cluster's address or credentials")
}

/// What the adapter works with.
pub(super) fn config(of: &Kubernetes) -> anyhow::Result<Config> {
    let allowed = |address: SocketAddr, component: &str| match &of.own_namespace {
        None => Allowed::address(address),
        Some(namespace) => Allowed {
            peer: Peer::Pods { namespace: namespace.clone(), component: component.to_owned() },
            port: address.port(),
        },
    };
    let link = of.link_address;
    Ok(Config {
        namespace: of.namespace.clone(),
        sidecar_image: of.sidecar_image.clone(),
        harness_image: of.harness_image.clone(),
        pull_policy: of.image_pull_policy.clone(),
        runtime_class: of.runtime_class.clone(),
        node_selector: of.node_selector.clone(),
        tolerations: of.tolerations.clone(),
        link_url: format!("ws://{link}/link").parse()?,
        bundles_url: format!("http://{link}").parse()?,
        canary: of.canary_address.to_string(),
        allowed: vec![allowed(link, "serve"), allowed(of.egress_address, "egress")],
        full: of.egress_full_address.map(|address| allowed(address, "egress")),
    })
}

/// How the adapter stands where it is another process: somebody holds the Lease.
pub(super) fn adapter(client: kube::Client, namespace: String) -> Probe {
    Probe::new(PartName::Adapter, move || {
        let (client, namespace) = (client.clone(), namespace.clone());
        async move {
            match k8s_adapter::holder(client, &namespace).await {
                Ok(Some(_)) => Finding::well("runs can start on the cluster"),
                Ok(None) => Finding::wrong("no adapter holds the Lease: no pod is made"),
                Err(error) => {
                    Finding::wrong(format!("the adapter's Lease cannot be read: {error}"))
                }
            }
        }
    })
    .seldom()
}

/// Whose a pod's token is.
pub(super) struct PodTokens {
    reviewer: Reviewer,
    commands: Commands,
    /// Pods that are not recorded, and since when they ask.
    strangers: Mutex<HashMap<Uuid, Instant>>,
}

impl PodTokens {
    pub(super) fn new(reviewer: Reviewer, commands: Commands) -> Self {
        Self { reviewer, commands, strangers: Mutex::default() }
    }

    async fn workload(&self, token: &str) -> Result<(RunId, Generation), Unidentified> {
        let reviewed = self.reviewer.pod_of(token).await;
        let pod = reviewed.map_err(|error| Unidentified::Away(error.into()))?;
        let pod = pod.ok_or(Unidentified::Unknown)?;
        let known = self.commands.workload_of_pod(pod).await?;
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            strangers.remove(&pod);
            return Ok(known);
        }
        strangers.retain(|_, since| since.elapsed() < NOT_YET * 10);
        let since = strangers.entry(pod).or_insert_with(Instant::now);
        Err(if since.elapsed() < NOT_YET { Unidentified::NotYet } else { Unidentified::Unknown })
    }
}

impl Identities for PodTokens {
    fn identify<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<(RunId, Generation), Unidentified>> {
        Box::pin(self.workload(token))
    }
}

/// Requests that objects make, by those who may.
pub(super) struct ByObjects {
    objects: Objects,
}

impl ByObjects {
    pub(super) fn new(state: AppState) -> Self {
        Self { objects: Objects::new(state) }
    }
}

impl Requests for ByObjects {
    fn session<'a>(
        &'a self,
        asked: Asked,
        spec: &'a SessionSpec,
    ) -> BoxFuture<'a, Result<Uuid, Refused>> {
        let wanted = SessionWanted {
            repo: spec.repo.clone(),
            base: spec.base.clone(),
            title: spec.title.clone(),
            issue: spec.issue.map(i64::unsigned_abs),
        };
        Box::pin(async {
            let made = self.objects.session(asker(asked)?, wanted).await;
            made.map(|session| session.0).map_err(refused)
        })
    }

    fn run<'a>(
        &'a self,
        asked: Asked,
        session: Uuid,
        spec: &'a HarnessRunSpec,
    ) -> BoxFuture<'a, Result<Uuid, Refused>> {
        let egress = spec.egress.map(|egress| match egress {
            Egress::Github => "github".to_owned(),
            Egress::Full => "full".to_owned(),
        });
        let wanted = RunWanted {
            prompt: spec.prompt.clone(),
            profile: spec.profile.clone(),
            egress,
            egress_reason: spec.egress_reason.clone(),
            draft: spec.draft.unwrap_or_default(),
        };
        Box::pin(async move {
            let made = self.objects.run(asker(asked)?, SessionId(session), wanted).await;
            made.map(|run| run.0).map_err(refused)
        })
    }

    fn may_ask(&self, name: &str) -> bool {
        self.objects.may_ask(commands::kubernetes_id(name))
    }
}

fn asker(asked: Asked) -> Result<Asker, Refused> {
    let Actor::Kubernetes(Some(owner)) = asked.actor else {
        let words = "nobody in particular asks".to_owned();
        return Err(Refused::No { code: "not-allowed".to_owned(), words });
    };
    let key = Idempotency { key: asked.key, fingerprint: asked.fingerprint };
    Ok(Asker { actor: asked.actor, owner, key })
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::No { code, words } => Refused::No { code, words },
        Refusal::Later(words) => Refused::Later(words),
    }
}

/// Takes every connection and says nothing: that one was made is all that a proof needs.
pub(super) async fn canary(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((_, from)) => tracing::debug!(%from, "the canary was reached"),
            Err(error) => {
                tracing::warn!(%error, "the canary took no connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
