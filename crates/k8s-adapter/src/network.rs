//! The fence: one NetworkPolicy for each egress mode, there before any pod.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use crate::{
    config::{Allowed, Config, Peer},
    names::{EGRESS, MANAGED_BY},
};

/// The egress modes. Either leaves by the gateway, which decides what passes: the one only by the listener
/// for every run, the other by that for runs which may reach any public host too.
pub(crate) const MODES: [&str; 2] = ["github", "full"];

/// All of them.
#[must_use]
pub fn policies(config: &Config) -> Vec<NetworkPolicy> {
    MODES.iter().map(|mode| policy(config, mode)).collect()
}

fn policy(config: &Config, mode: &str) -> NetworkPolicy {
    let full = config.full.iter().filter(|_| mode == "full");
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("paddock-egress-{mode}")),
            namespace: Some(config.namespace.clone()),
            labels: Some(labels(&[MANAGED_BY])),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(&[MANAGED_BY, (EGRESS, mode)])),
            // Both are named: nothing comes in, and nothing goes out but what is listed.
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: None,
            egress: Some(config.allowed.iter().chain(full).map(rule).collect()),
        }),
    }
}

fn rule(allowed: &Allowed) -> NetworkPolicyEgressRule {
    let peer = match &allowed.peer {
        Peer::Address(address) => NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }),
                except: None,
            }),
            ..NetworkPolicyPeer::default()
        },
        Peer::Pods { namespace, component } => NetworkPolicyPeer {
            namespace_selector: Some(matching(&[("kubernetes.io/metadata.name", namespace)])),
            pod_selector: Some(matching(&[
                ("app.kubernetes.io/part-of", "paddock"),
                ("app.kubernetes.io/component", component),
            ])),
            ..NetworkPolicyPeer::default()
        },
    };
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(allowed.port))),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        }]),
    }
}

fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn matching(of: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(of)), ..LabelSelector::default() }
}
