//! A workload as a pod: the sidecar beside the agent, two users that share a network and one directory.
//!
//! Pod Security *restricted* takes it. There is no service account in it but the sidecar's own token, which
//! is for Paddock alone and mounted in no other container.

use std::collections::BTreeMap;

use domain::workload::Desired;
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, ExecAction,
        ObjectFieldSelector, Pod, PodDNSConfig, PodDNSConfigOption, PodSecurityContext, PodSpec,
        Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext,
        ServiceAccountTokenProjection, Toleration, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use crate::{
    config::{self, Config},
    names,
};

/// The audience of a sidecar's token.
pub const AUDIENCE: &str = "paddock";
/// How long a token is good for; the kubelet puts a new one there long before.
const TOKEN_SECONDS: i64 = 3600;
/// The agent's uid, whatever the image says.
const AGENT: i64 = 1000;
/// What the sidecar's container is called.
pub(crate) const SIDECAR_NAME: &str = "sidecar";
/// The sidecar's uid.
const SIDECAR: i64 = 1001;
/// The group that both are in: what is mounted into both is theirs.
const SHARED: i64 = 1002;
/// How long a pod that is told to end may take for its snapshot.
const GRACE_SECONDS: i64 = 120;
/// How long past the run's own deadline a pod may live: the control plane ends the run before.
const BEYOND_DEADLINE: i64 = 600;
/// How often the proof of the fence is looked for, and how many times.
const PROOF_PERIOD: i32 = 1;
const PROOF_TRIES: i32 = 120;
/// What a sidecar needs.
const SIDECAR_MEMORY_MIB: u32 = 256;
const SIDECAR_CPU_MILLIS: u32 = 2000;

const PROGRAMS: &str = "/opt/paddock";
const SOCKETS: &str = "/run/paddock";
const SPOOL: &str = "/var/lib/paddock";
const IDENTITY: &str = "/var/run/secrets/paddock";
const HOME: &str = "/home/agent";
const WORKSPACE: &str = "/workspace";

/// The pod of a workload.
#[must_use]
pub fn pod(config: &Config, desired: &Desired) -> Pod {
    let annotations = [
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
        ("karpenter.sh/do-not-disrupt", "true"),
    ];
    Pod {
        metadata: ObjectMeta {
            name: Some(names::pod(desired.run, desired.generation)),
            namespace: Some(config.namespace.clone()),
            labels: Some(names::labels(desired)),
            annotations: Some(strings(&annotations)),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            init_containers: Some(vec![install(config), sidecar(config, desired)]),
            containers: vec![harness(config, desired)],
            volumes: Some(volumes(desired)),
            restart_policy: Some("Never".to_owned()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            // Names are resolved by the gateway. What asks all the same is to give up soon.
            dns_config: Some(PodDNSConfig {
                options: Some(vec![resolver("timeout", "1"), resolver("attempts", "1")]),
                ..PodDNSConfig::default()
            }),
            active_deadline_seconds: Some(i64::from(desired.deadline_seconds) + BEYOND_DEADLINE),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            runtime_class_name: desired
                .harness
                .runtime_class
                .clone()
                .or_else(|| config.runtime_class.clone()),
            node_selector: Some(config.node_selector.clone()).filter(|labels| !labels.is_empty()),
            tolerations: Some(tolerations(config)).filter(|some| !some.is_empty()),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(AGENT),
                run_as_group: Some(AGENT),
                fs_group: Some(SHARED),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn tolerations(config: &Config) -> Vec<Toleration> {
    let of = |wanted: &config::Toleration| Toleration {
        key: Some(wanted.key.clone()),
        operator: Some(if wanted.value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: wanted.value.clone(),
        effect: wanted.effect.clone(),
        toleration_seconds: None,
    };
    config.tolerations.iter().map(of).collect()
}

/// Brings the harness to the agent's container: any image with `opencode` and `git` will do there.
fn install(config: &Config) -> Container {
    let harness = format!("{PROGRAMS}/paddock-harness");
    Container {
        name: "install".to_owned(),
        image: Some(config.sidecar_image.clone()),
        command: Some(words(&[
            "/usr/bin/install",
            "-m",
            "0755",
            "/usr/bin/paddock-harness",
            &harness,
        ])),
        volume_mounts: Some(vec![mount("programs", PROGRAMS)]),
        resources: Some(resources(64, 16, SIDECAR_CPU_MILLIS)),
        ..plain(config)
    }
}

/// A native sidecar: the agent's container starts once its startup probe has found the proof of the fence.
fn sidecar(config: &Config, desired: &Desired) -> Container {
    let mut args = words(&[
        "sidecar",
        "--run",
        &desired.run.to_string(),
        "--generation",
        &desired.generation.to_string(),
        "--link-url",
        config.link_url.as_str(),
        "--bundles-url",
        config.bundles_url.as_str(),
        "--identity-file",
        &format!("{IDENTITY}/token"),
        "--harness-socket",
        &format!("{SOCKETS}/harness.sock"),
        "--spool-dir",
        SPOOL,
        "--canary",
        &config.canary,
        "--pod",
    ]);
    if desired.accept_unenforced {
        args.push("--accept-unenforced".to_owned());
    }
    Container {
        name: SIDECAR_NAME.to_owned(),
        image: Some(config.sidecar_image.clone()),
        command: Some(words(&["/usr/bin/paddock"])),
        args: Some(args),
        env: Some(vec![EnvVar {
            name: "PADDOCK_NODE_ADDRESS".to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "status.hostIP".to_owned(),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(Probe {
            exec: Some(ExecAction {
                command: Some(words(&["/usr/bin/paddock", "fence-proven", "--spool-dir", SPOOL])),
            }),
            period_seconds: Some(PROOF_PERIOD),
            failure_threshold: Some(PROOF_TRIES),
            timeout_seconds: Some(5),
            ..Probe::default()
        }),
        volume_mounts: Some(vec![
            VolumeMount { read_only: Some(true), ..mount("identity", IDENTITY) },
            mount("sockets", SOCKETS),
            mount("spool", SPOOL),
        ]),
        resources: Some(resources(SIDECAR_MEMORY_MIB, desired.disk_mib, SIDECAR_CPU_MILLIS)),
        security_context: Some(SecurityContext { run_as_user: Some(SIDECAR), ..restricted() }),
        ..plain(config)
    }
}

fn harness(config: &Config, desired: &Desired) -> Container {
    let (program, socket) =
        (format!("{PROGRAMS}/paddock-harness"), format!("{SOCKETS}/harness.sock"));
    let mut command =
        words(&[&program, "--socket", &socket, "--workspace", WORKSPACE, "--home", HOME]);
    // The harness hands on what is named, and nothing else.
    let of_profile = &desired.harness.env;
    command.extend(of_profile.keys().map(|name| format!("--agent-env={name}")));
    let variable = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..EnvVar::default()
    };
    Container {
        name: "harness".to_owned(),
        image: Some(desired.harness.image.as_ref().unwrap_or(&config.harness_image).clone()),
        command: Some(command),
        env: Some(
            [("HOME", HOME), ("LANG", "C.UTF-8")]
                .into_iter()
                .filter(|(name, _)| !of_profile.contains_key(*name))
                .chain(of_profile.iter().map(|(name, value)| (&name[..], &value[..])))
                .map(|(name, value)| variable(name, value))
                .collect(),
        ),
        working_dir: Some(WORKSPACE.to_owned()),
        volume_mounts: Some(vec![
            VolumeMount { read_only: Some(true), ..mount("programs", PROGRAMS) },
            mount("sockets", SOCKETS),
            mount("home", HOME),
            mount("workspace", WORKSPACE),
            mount("tmp", "/tmp"),
        ]),
        resources: Some(resources(
            desired.memory_mib,
            desired.disk_mib,
            desired.harness.cpu_millis(),
        )),
        ..plain(config)
    }
}

fn plain(config: &Config) -> Container {
    Container {
        image_pull_policy: Some(config.pull_policy.clone()),
        security_context: Some(restricted()),
        ..Container::default()
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(words(&["ALL"])), add: None }),
        ..SecurityContext::default()
    }
}

fn volumes(desired: &Desired) -> Vec<Volume> {
    let empty = |name: &str, mib: u32| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(mebibytes(mib)), medium: None }),
        ..Volume::default()
    };
    let identity = Volume {
        name: "identity".to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(vec![VolumeProjection {
                service_account_token: Some(ServiceAccountTokenProjection {
                    audience: Some(AUDIENCE.to_owned()),
                    expiration_seconds: Some(TOKEN_SECONDS),
                    path: "token".to_owned(),
                }),
                ..VolumeProjection::default()
            }]),
        }),
        ..Volume::default()
    };
    vec![
        empty("programs", 64),
        empty("sockets", 1),
        empty("spool", desired.disk_mib),
        empty("home", desired.disk_mib),
        empty("workspace", desired.disk_mib),
        empty("tmp", desired.disk_mib.min(1024)),
        identity,
    ]
}

fn resources(memory_mib: u32, disk_mib: u32, cpu_millis: u32) -> ResourceRequirements {
    let of = |memory: u32, cpu_millis: u32| -> BTreeMap<String, Quantity> {
        let cpu = Quantity(format!("{cpu_millis}m"));
        BTreeMap::from([("memory".to_owned(), mebibytes(memory)), ("cpu".to_owned(), cpu)])
    };
    let mut limits = of(memory_mib, cpu_millis);
    limits.insert("ephemeral-storage".to_owned(), mebibytes(disk_mib));
    ResourceRequirements {
        limits: Some(limits),
        // A quarter is kept free for it: an agent waits for its model most of the time.
        requests: Some(of(memory_mib / 4, cpu_millis / 40)),
        claims: None,
    }
}

fn mebibytes(mib: u32) -> Quantity {
    Quantity(format!("{mib}Mi"))
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn resolver(option: &str, value: &str) -> PodDNSConfigOption {
    PodDNSConfigOption { name: Some(option.to_owned()), value: Some(value.to_owned()) }
}

fn words(of: &[&str]) -> Vec<String> {
    of.iter().map(|word| (*word).to_owned()).collect()
}

fn strings(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
