//! A run's pod and its fence, as the API server gets them.

use domain::{
    ids::{Generation, RunId, SessionId},
    run::Harness,
    workload::{Desired, Phase},
};
use k8s_adapter::{Allowed, Config, Peer, pod, policies};
use serde_json::{Value, json};
use uuid::Uuid;

fn config() -> Config {
    Config {
        namespace: "runs".to_owned(),
        sidecar_image: "paddock".to_owned(),
        harness_image: "agent".to_owned(),
        pull_policy: "IfNotPresent".to_owned(),
        runtime_class: None,
        node_selector: [("pool".to_owned(), "agents".to_owned())].into(),
        tolerations: vec!["spot=yes:NoSchedule".parse().expect("a toleration")],
        link_url: "ws://192.0.2.1:7082/link".parse().expect("a URL"),
        bundles_url: "http://192.0.2.1:7082".parse().expect("a URL"),
        canary: "192.0.2.1:7084".to_owned(),
        allowed: vec![
            Allowed::address("192.0.2.1:7082".parse().expect("an address")),
            Allowed {
                peer: Peer::Pods {
                    namespace: "paddock".to_owned(),
                    component: "egress".to_owned(),
                },
                port: 3129,
            },
        ],
        full: Some(Allowed::address("192.0.2.1:3130".parse().expect("an address"))),
    }
}

fn made() -> Value {
    made_with(Harness::default())
}

fn made_with(harness: Harness) -> Value {
    let desired = Desired {
        run: RunId(Uuid::from_u128(1)),
        session: SessionId(Uuid::from_u128(2)),
        generation: Generation(3),
        phase: Phase::Create,
        accept_unenforced: false,
        memory_mib: 2048,
        disk_mib: 4096,
        egress: "github".to_owned(),
        deadline_seconds: 7200,
        harness,
    };
    serde_json::to_value(pod(&config(), &desired)).expect("JSON")
}

fn containers(pod: &Value) -> Vec<Value> {
    let of = |name: &str| pod["spec"][name].as_array().cloned().unwrap_or_default();
    [of("initContainers"), of("containers")].concat()
}

#[test]
fn it_is_as_restricted_as_pod_security_wants() {
    let pod = made();
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    for container in containers(&pod) {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{container}");
        assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{container}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
    }
    for volume in pod["spec"]["volumes"].as_array().expect("volumes") {
        let sized = volume["emptyDir"]["sizeLimit"].is_string();
        assert!(sized || volume["name"] == "identity", "{volume}");
    }
}

#[test]
fn the_identity_is_the_sidecars_alone_and_the_two_are_different_users() {
    let pod = made();
    let holds = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        mounts.iter().any(|mount| mount["name"] == "identity")
    };
    let who: Vec<Value> = containers(&pod).into_iter().filter(holds).collect();
    assert_eq!(who.len(), 1);
    assert_eq!(who[0]["name"], "sidecar");
    let agent = &pod["spec"]["securityContext"]["runAsUser"];
    assert_ne!(&who[0]["securityContext"]["runAsUser"], agent);
    // The agent's container begins once the proof of the fence is found.
    assert_eq!(who[0]["restartPolicy"], "Always");
    assert!(who[0]["startupProbe"]["exec"]["command"].to_string().contains("fence-proven"));
}

#[test]
fn what_the_profile_gives_is_the_agents_and_the_sidecar_has_its_own() {
    let agents = |pod: &Value| pod["spec"]["containers"][0].clone();
    let plain = made();
    assert_eq!(agents(&plain)["image"], "agent");
    assert!(plain["spec"]["runtimeClassName"].is_null());
    assert_eq!(agents(&plain)["resources"]["limits"]["cpu"], "2000m");

    let env = [("NODE_ENV", "test"), ("LANG", "de_DE.UTF-8")];
    let pod = made_with(Harness {
        image: Some("ghcr.io/acme/agent:1".to_owned()),
        runtime_class: Some("gvisor".to_owned()),
        cpu_millis: Some(500),
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Harness::default()
    });
    assert_eq!(pod["spec"]["runtimeClassName"], "gvisor");
    assert_eq!(pod["spec"]["activeDeadlineSeconds"], 7200 + 600);
    let agent = agents(&pod);
    assert_eq!(agent["image"], "ghcr.io/acme/agent:1");
    assert_eq!(agent["resources"]["limits"]["cpu"], "500m");
    assert_eq!(agent["resources"]["limits"]["memory"], "2048Mi");
    assert_eq!(agent["resources"]["limits"]["ephemeral-storage"], "4096Mi");
    let expected = json!([
        { "name": "HOME", "value": "/home/agent" },
        { "name": "LANG", "value": "de_DE.UTF-8" },
        { "name": "NODE_ENV", "value": "test" },
    ]);
    assert_eq!(agent["env"], expected);
    let command = agent["command"].to_string();
    assert!(command.contains("--agent-env=NODE_ENV") && !command.contains("test"), "{command}");
    for other in pod["spec"]["initContainers"].as_array().expect("containers") {
        assert_eq!(other["image"], "paddock");
        assert!(!other.to_string().contains("NODE_ENV"), "{other}");
        assert_ne!(other["resources"]["limits"]["cpu"], "500m");
    }
}

#[test]
fn every_pod_is_selected_by_a_fence_that_opens_what_is_listed_and_nothing_else() {
    let labels = made()["metadata"]["labels"].clone();
    let policies = serde_json::to_value(policies(&config())).expect("JSON");
    let selects = |policy: &&Value| {
        let wanted = policy["spec"]["podSelector"]["matchLabels"].as_object().expect("labels");
        wanted.iter().all(|(name, value)| labels[name] == *value)
    };
    let all = policies.as_array().expect("policies");
    let selecting: Vec<&Value> = all.iter().filter(selects).collect();
    assert_eq!(selecting.len(), 1);
    let spec = &selecting[0]["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert!(spec["ingress"].is_null());
    let expected = json!([
        { "to": [{ "ipBlock": { "cidr": "192.0.2.1/32" } }],
          "ports": [{ "port": 7082, "protocol": "TCP" }] },
        { "to": [{
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "paddock" } },
            "podSelector": { "matchLabels": {
                "app.kubernetes.io/component": "egress", "app.kubernetes.io/part-of": "paddock" } } }],
          "ports": [{ "port": 3129, "protocol": "TCP" }] },
    ]);
    assert_eq!(spec["egress"], expected);
}

#[test]
fn only_the_policy_of_runs_that_may_reach_more_opens_the_gateways_other_listener() {
    let policies = serde_json::to_value(policies(&config())).expect("JSON");
    let opens = |name: &str| {
        let all = policies.as_array().expect("policies");
        let policy = all.iter().find(|policy| policy["metadata"]["name"] == name).expect(name);
        policy["spec"]["egress"].to_string().contains("3130")
    };
    assert!(opens("paddock-egress-full"));
    assert!(!opens("paddock-egress-github"));
}

#[test]
fn it_goes_to_the_nodes_that_the_admin_chose() {
    let spec = &made()["spec"];
    assert_eq!(spec["nodeSelector"], json!({ "pool": "agents" }));
    let tolerated =
        json!([{ "key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule" }]);
    assert_eq!(spec["tolerations"], tolerated);
}
