//! The cluster on which runs are pods.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, bail};
use k8s_adapter::Toleration;
use serde::Serialize;

use super::{Settings, listed, required};

/// What runs on Kubernetes are made with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Kubernetes {
    pub(crate) namespace: String,
    pub(crate) sidecar_image: String,
    pub(crate) harness_image: String,
    pub(crate) image_pull_policy: String,
    pub(crate) runtime_class: Option<String>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) link_address: SocketAddr,
    pub(crate) egress_address: SocketAddr,
    pub(crate) egress_full_address: Option<SocketAddr>,
    pub(crate) canary_listen: SocketAddr,
    pub(crate) canary_address: SocketAddr,
    pub(crate) own_namespace: Option<String>,
    pub(crate) requesters: Vec<String>,
}

impl Kubernetes {
    /// What the settings say of it; nothing where no namespace is named.
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(namespace) = settings.kubernetes_namespace.clone() else { return Ok(None) };
        let canary_listen = required(settings.canary_listen, "PADDOCK_CANARY_LISTEN")?;
        let image_pull_policy =
            settings.image_pull_policy.clone().unwrap_or_else(|| "IfNotPresent".to_owned());
        if !matches!(&*image_pull_policy, "Always" | "IfNotPresent" | "Never") {
            bail!("image_pull_policy = {image_pull_policy}: it is Always, IfNotPresent or Never");
        }
        Ok(Some(Self {
            namespace,
            sidecar_image: required(settings.sidecar_image.clone(), "PADDOCK_SIDECAR_IMAGE")?,
            harness_image: required(settings.harness_image.clone(), "PADDOCK_HARNESS_IMAGE")?,
            image_pull_policy,
            runtime_class: settings.runtime_class.clone(),
            node_selector: listed(settings.kubernetes_node_selector.as_deref())
                .map(|label| {
                    let (key, value) = label.split_once('=').with_context(|| {
                        format!("kubernetes_node_selector: {label} is not key=value")
                    })?;
                    Ok((key.to_owned(), value.to_owned()))
                })
                .collect::<anyhow::Result<_>>()?,
            tolerations: listed(settings.kubernetes_tolerations.as_deref())
                .map(str::parse)
                .collect::<Result<_, _>>()
                .context("kubernetes_tolerations")?,
            link_address: required(settings.link_address, "PADDOCK_LINK_ADDRESS")?,
            egress_address: required(settings.egress_address, "PADDOCK_EGRESS_ADDRESS")?,
            egress_full_address: settings.egress_full_address,
            canary_listen,
            canary_address: settings.canary_address.unwrap_or(canary_listen),
            own_namespace: settings.own_namespace.clone(),
            requesters: listed(settings.kubernetes_requesters.as_deref())
                .map(str::to_owned)
                .collect(),
        }))
    }
}
