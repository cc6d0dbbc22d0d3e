//! What `paddock crds` prints is what is committed, and what an API server takes.

use k8s_adapter::{admission, crds};
use serde_json::{Value, json};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds.yaml");

/// After a change: `cargo run --bin paddock -- crds > deploy/crds.yaml`.
#[test]
fn the_committed_manifest_is_the_one_that_is_printed() {
    let committed = std::fs::read_to_string(COMMITTED).expect("deploy/crds.yaml");
    let printed = k8s_adapter::manifest().expect("YAML");
    assert!(committed == printed, "deploy/crds.yaml is stale: paddock crds > deploy/crds.yaml");
}

#[test]
fn every_schema_is_structural() {
    for definition in crds::definitions() {
        let version = &definition.spec.versions[0];
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let schema = serde_json::to_value(schema).expect("JSON");
        assert_structural(&schema["properties"]["spec"], "spec");
        assert_structural(&schema["properties"]["status"], "status");
        assert!(version.subresources.as_ref().is_some_and(|of| of.status.is_some()));
        assert!(version.additional_printer_columns.as_ref().is_some_and(|all| all.len() > 3));
    }
}

/// A type everywhere, and nothing but validation inside of choices: what `apiextensions.k8s.io/v1` wants.
fn assert_structural(schema: &Value, at: &str) {
    let is_open = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    assert!(schema["type"].is_string() || is_open, "{at} has no type: {schema}");
    assert!(schema["$ref"].is_null(), "{at} refers elsewhere");
    for choice in ["allOf", "anyOf", "oneOf"] {
        for one in schema[choice].as_array().into_iter().flatten() {
            for forbidden in ["type", "description", "default", "nullable"] {
                assert!(one[forbidden].is_null(), "{at}: {forbidden} in {choice}");
            }
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        assert_structural(property, &format!("{at}.{name}"));
    }
    if schema["items"].is_object() {
        assert_structural(&schema["items"], &format!("{at}[]"));
    }
}

#[test]
fn what_is_asked_for_is_held_to_by_rules_of_the_api_server() {
    let rules = |definition: usize| {
        let all = serde_json::to_value(&crds::definitions()[definition]).expect("JSON");
        let schema = &all["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        (schema["x-kubernetes-validations"].clone(), schema["properties"]["spec"].clone())
    };
    for definition in 0..crds::definitions().len() {
        let (root, _) = rules(definition);
        let rule = root[0]["rule"].as_str().expect("a rule");
        assert!(rule.ends_with("self.spec == oldSelf.spec"), "{rule}");
    }
    let (_, spec) = rules(1);
    assert_eq!(spec["x-kubernetes-validations"].as_array().map(Vec::len), Some(2));
    assert_eq!(spec["required"], json!(["prompt", "session"]));
    assert_eq!(spec["properties"]["egress"]["enum"], json!(["github", "full"]));
}

#[test]
fn the_policy_denies_and_fails_shut() {
    let policy = serde_json::to_value(admission::policy()).expect("JSON");
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    assert_eq!(policy["spec"]["validations"].as_array().map(Vec::len), Some(2));
    let binding = serde_json::to_value(admission::binding()).expect("JSON");
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
}
