//! The custom resources: what people and GitOps tools ask for, and what Paddock tells of it (design §10).
//!
//! Both work both ways. An object that somebody applies is a request; one that Paddock made is a view of its log.

#![expect(unreachable_pub, reason = "the derives repeat the structs where nobody reaches them")]

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of all of Paddock's objects.
pub const GROUP: &str = "paddock.dev";

/// A line of work on one repository: it has a branch, and its runs share a pull request.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "paddock.dev",
    version = "v1alpha1",
    kind = "Session",
    plural = "sessions",
    namespaced,
    status = "SessionStatus",
    category = "paddock",
    derive = "PartialEq",
    doc = "A line of work on one repository: it has a branch, and its runs share a pull request.",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.id) || self.spec == oldSelf.spec")
        .message("the spec of a session that was accepted does not change"),
    printcolumn(name = "Repository", type_ = "string", json_path = ".spec.repo"),
    printcolumn(name = "Branch", type_ = "string", json_path = ".status.branch"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Pull-Request", type_ = "string", json_path = ".status.pullRequest.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionSpec {
    /// The repository, as owner/name.
    #[schemars(
        length(min = 3, max = 140),
        regex(pattern = r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$")
    )]
    pub repo: String,
    /// The branch that the work is to go to; the repository's default one where none is named.
    #[schemars(length(min = 1, max = 244))]
    pub base: Option<String>,
    /// What the work is called; the issue's title where there is none.
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// The issue that it resolves.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub issue: Option<i64>,
}

/// What became of a session that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The session's id in Paddock, once it is accepted.
    pub id: Option<String>,
    /// Its working branch.
    pub branch: Option<String>,
    /// `active` while a run of it goes on, else how its newest one ended.
    pub state: Option<String>,
    /// Its pull request.
    pub pull_request: Option<PullRequest>,
    /// The generation of the spec that this tells of.
    pub observed_generation: Option<i64>,
    /// `Accepted`.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A stretch of an agent's work in a session.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "paddock.dev",
    version = "v1alpha1",
    kind = "HarnessRun",
    plural = "harnessruns",
    namespaced,
    status = "HarnessRunStatus",
    category = "paddock",
    shortname = "hr",
    derive = "PartialEq",
    doc = "A stretch of an agent's work in a session.",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.id) || self.spec == oldSelf.spec")
        .message("the spec of a run that was accepted does not change"),
    printcolumn(name = "Session", type_ = "string", json_path = ".spec.session"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Pull-Request", type_ = "string", json_path = ".status.pullRequest.url"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.pod", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("!has(self.egress) || self.egress != 'full' || has(self.egressReason)")
        .message("egress full is asked for with a reason: egressReason")
        .field_path(".egressReason"),
    validation = Rule::new("!has(self.egressReason) || (has(self.egress) && self.egress == 'full')")
        .message("a reason is given for egress full only")
        .field_path(".egressReason")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HarnessRunSpec {
    /// The Session object of the same namespace that it belongs to.
    #[schemars(length(min = 1, max = 253))]
    pub session: String,
    /// What the agent is told.
    #[schemars(length(min = 1, max = 262_144))]
    pub prompt: String,
    /// The harness profile; the default one where none is named.
    #[schemars(length(min = 1, max = 63))]
    pub profile: Option<String>,
    /// What it may reach; the profile's choice where nothing is said.
    pub egress: Option<Egress>,
    /// Why it is to reach more than GitHub, on the record.
    #[schemars(length(min = 1, max = 1_000))]
    pub egress_reason: Option<String>,
    /// Whether its pull request begins as a draft.
    pub draft: Option<bool>,
}

/// What a run may reach beside the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Its repository on GitHub.
    Github,
    /// Any public host, through the gateway.
    Full,
}

/// What became of a run that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HarnessRunStatus {
    /// The run's id in Paddock, once it is accepted.
    pub id: Option<String>,
    /// Its state, such as `running`.
    pub state: Option<String>,
    /// Why it is not running, in words.
    pub reason: Option<String>,
    /// The pod of its newest workload.
    pub pod: Option<String>,
    /// How many workloads it has had.
    pub workloads: Option<i64>,
    /// Its pull request.
    pub pull_request: Option<PullRequest>,
    /// When it was admitted.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The generation of the spec that this tells of.
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Admitted`, `Fenced`, `Ready`, `Succeeded`.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct PullRequest {
    /// Where.
    pub url: String,
    /// Its number in the repository.
    pub number: i64,
}

/// All definitions, as `paddock crds` prints them.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![Session::crd(), HarnessRun::crd()]
}
