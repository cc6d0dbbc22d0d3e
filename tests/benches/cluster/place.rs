//! Where the runs of the bench go: namespaces and nodes of its own, which are all removed, also what a bench that was
//! killed left.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_adapter::crds::{HarnessRun, Session};
use k8s_openapi::{
    api::core::v1::{Namespace, Node, NodeSpec, NodeStatus, Pod, ServiceAccount, Taint},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

/// On everything that a bench makes.
pub(super) const LABEL: &str = "paddock.dev/bench";
/// How many requests that tidy up are under way at once.
const AT_ONCE: usize = 16;
/// How many nodes are played.
const NODES: usize = 2;
const PATIENCE: Duration = Duration::from_mins(5);

/// A client by that name in the audit log.
pub(super) async fn client(name: &str) -> anyhow::Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.context("no cluster: use `make bench`")?;
    config.headers.push((reqwest::header::USER_AGENT, name.parse()?));
    Ok(Client::try_from(config)?)
}

/// Makes nodes that kwok plays the kubelets of, for runs alone.
pub(super) async fn nodes(client: &Client) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let amounts =
        [("cpu", "4k"), ("memory", "32Ti"), ("ephemeral-storage", "4096Ti"), ("pods", "16k")];
    let capacity: BTreeMap<String, Quantity> = amounts
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
        .collect();
    for number in 0..NODES {
        let name = format!("paddock-bench-{number}");
        let node = Node {
            metadata: ObjectMeta {
                annotations: Some(strings(&[("kwok.x-k8s.io/node", "fake")])),
                labels: Some(strings(&[(LABEL, "node"), ("kubernetes.io/hostname", &name)])),
                name: Some(name),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                taints: Some(vec![Taint {
                    key: LABEL.to_owned(),
                    value: Some("node".to_owned()),
                    effect: "NoSchedule".to_owned(),
                    time_added: None,
                }]),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                allocatable: Some(capacity.clone()),
                capacity: Some(capacity.clone()),
                ..NodeStatus::default()
            }),
        };
        nodes.create(&PostParams::default(), &node).await?;
    }
    Ok(())
}

/// Makes a namespace as runs have it.
pub(super) async fn namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let labels = strings(&[(LABEL, "runs"), ("pod-security.kubernetes.io/enforce", "restricted")]);
    let metadata =
        ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace { metadata, ..Namespace::default() };
    namespaces.create(&PostParams::default(), &namespace).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until(|| async { Ok(accounts.get_opt("default").await?.is_some()) }).await
}

/// Removes everything that this bench or an earlier one made.
pub(super) async fn tidy(client: &Client) -> anyhow::Result<()> {
    let ours = ListParams::default().labels(LABEL);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&ours).await? {
        let name = namespace.name_any();
        empty(client, &name).await?;
        namespaces.delete(&name, &DeleteParams::default()).await?;
        until(|| async { Ok(namespaces.get_opt(&name).await?.is_none()) }).await?;
    }
    let nodes: Api<Node> = Api::all(client.clone());
    for node in nodes.list(&ours).await? {
        nodes.delete(&node.name_any(), &DeleteParams::default()).await?;
    }
    Ok(())
}

/// Deletes pods, runs and sessions of a namespace, and waits until they are gone.
pub(super) async fn empty(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let runs: Api<HarnessRun> = Api::namespaced(client.clone(), namespace);
    let held = runs.list(&ListParams::default()).await?.items;
    // Whoever would let them go is not there.
    let free = serde_json::json!({ "metadata": { "finalizers": null } });
    stream::iter(held)
        .map(|run| {
            let runs = runs.clone();
            let free = &free;
            async move {
                let merge = Patch::Merge(free);
                let freed = runs.patch(&run.name_any(), &PatchParams::default(), &merge).await;
                anyhow::Ok(tolerant(freed.map(drop))?)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    all_gone(&runs).await?;
    all_gone(&Api::<Session>::namespaced(client.clone(), namespace)).await?;
    all_gone(&Api::<Pod>::namespaced(client.clone(), namespace)).await
}

async fn all_gone<K>(api: &Api<K>) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + kube::Resource<DynamicType = ()>,
{
    let now = DeleteParams::default().grace_period(0);
    tolerant(api.delete_collection(&now, &ListParams::default()).await.map(drop))?;
    let one = ListParams::default().limit(1);
    until(|| async {
        match api.list_metadata(&one).await {
            Ok(list) => Ok(list.items.is_empty()),
            // The kind is not known here: there is none.
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(true),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn until<F: Future<Output = anyhow::Result<bool>>>(
    holds: impl Fn() -> F,
) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !holds().await? {
        anyhow::ensure!(Instant::now() < until, "the cluster does not tidy up in time");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn tolerant(answer: kube::Result<()>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        other => other,
    }
}

fn strings(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
