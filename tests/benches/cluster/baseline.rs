//! The least that the same objects could cost: one client that makes them, in the order in which the adapter does.

use domain::{
    ids::{Generation, RunId, SessionId},
    workload::{Desired, Phase},
};
use k8s_adapter::{
    Allowed, Config,
    crds::{Egress, HarnessRun, HarnessRunSpec},
    pod,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Resource as _, api::PostParams};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use super::place::LABEL;

/// How many runs the adapter makes objects for at once.
pub(super) const AT_ONCE: usize = 16;

#[derive(Clone)]
pub(super) struct Bare {
    pods: Api<Pod>,
    runs: Api<HarnessRun>,
    config: std::sync::Arc<Config>,
    /// Who this client is to the API server: the annotation has to say it.
    own: std::sync::Arc<str>,
}

impl Bare {
    pub(super) fn new(client: &Client, namespace: &str, own: &str) -> anyhow::Result<Self> {
        let config = Config {
            namespace: namespace.to_owned(),
            sidecar_image: "paddock.dev/sidecar:bench".to_owned(),
            harness_image: "paddock.dev/harness:bench".to_owned(),
            pull_policy: "IfNotPresent".to_owned(),
            runtime_class: None,
            node_selector: [(LABEL.to_owned(), "node".to_owned())].into(),
            tolerations: vec![format!("{LABEL}=node:NoSchedule").parse()?],
            link_url: "ws://192.0.2.1:7082/link".parse()?,
            bundles_url: "http://192.0.2.1:7082".parse()?,
            canary: "192.0.2.1:7084".to_owned(),
            allowed: vec![Allowed::address("192.0.2.1:7082".parse()?)],
            full: None,
        };
        Ok(Self {
            pods: Api::namespaced(client.clone(), namespace),
            runs: Api::namespaced(client.clone(), namespace),
            config: config.into(),
            own: own.into(),
        })
    }

    /// Makes what one run needs; when that was begun.
    pub(super) async fn make(&self, run: Uuid) -> anyhow::Result<Instant> {
        let began = Instant::now();
        let create =
            PostParams { field_manager: Some("bench".to_owned()), ..PostParams::default() };
        let session = Uuid::now_v7();
        let made = self.runs.create(&create, &self.object(run, session)).await?;
        let desired = Desired {
            run: RunId(run),
            session: SessionId(session),
            generation: Generation(1),
            phase: Phase::Create,
            accept_unenforced: false,
            memory_mib: 2048,
            disk_mib: 4096,
            egress: "github".to_owned(),
            deadline_seconds: 7200,
            harness: domain::run::Harness::default(),
        };
        let mut pod = pod(&self.config, &desired);
        pod.metadata.owner_references = made.controller_owner_ref(&()).map(|owner| vec![owner]);
        self.pods.create(&create, &pod).await?;
        Ok(began)
    }

    /// Makes what so many runs need, as fast as it can.
    pub(super) async fn burst(&self, runs: usize) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..runs {
            if tasks.len() >= AT_ONCE {
                tasks.join_next().await.expect("some are under way")??;
            }
            let bare = self.clone();
            tasks.spawn(async move { bare.make(Uuid::now_v7()).await });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }

    fn object(&self, run: Uuid, session: Uuid) -> HarnessRun {
        let spec = HarnessRunSpec {
            session: format!("session-{session}"),
            prompt: format!("(kept by Paddock, as the prompt of run {run})"),
            profile: Some("default".to_owned()),
            egress: Some(Egress::Github),
            egress_reason: None,
            draft: Some(false),
        };
        let mut object = HarnessRun::new(&format!("run-{run}"), spec);
        let text = |of: &[(&str, String)]| -> std::collections::BTreeMap<String, String> {
            of.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let own = self.own.to_string();
        object.metadata.annotations = Some(text(&[(k8s_adapter::admission::REQUESTED_BY, own)]));
        object.metadata.labels = Some(text(&[
            ("app.kubernetes.io/managed-by", "paddock".to_owned()),
            ("paddock.dev/run", run.to_string()),
            ("paddock.dev/session", session.to_string()),
        ]));
        object.metadata.finalizers = Some(vec!["paddock.dev/run-ended".to_owned()]);
        object
    }
}
