//! Whether an annotation can be believed: only while the policy that vouches for it is there, as it should be, and older
//! than the object.

use k8s_openapi::{
    api::{
        admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        authentication::v1::SelfSubjectReview,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, Client, api::PostParams};
use serde::Serialize;
use serde_json::{Value, json};

use crate::admission;

/// How long after a change of the policy the API server may still go by the one before.
const SETTLES: SignedDuration = SignedDuration::from_secs(5);

/// Looks at the policy.
#[derive(Clone)]
pub(super) struct Guard {
    policies: Api<ValidatingAdmissionPolicy>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Guard {
    pub(super) fn new(client: &Client) -> Self {
        Self { policies: Api::all(client.clone()), bindings: Api::all(client.clone()) }
    }

    /// Why the annotation on an object that was created then proves nothing, if so.
    pub(super) async fn unproven(&self, created: Timestamp) -> kube::Result<Option<String>> {
        let policy = self.policies.get_opt(admission::NAME).await?;
        let binding = self.bindings.get_opt(admission::NAME).await?;
        let (Some(policy), Some(binding)) = (policy, binding) else {
            let words =
                "the ValidatingAdmissionPolicy paddock-requested-by or its binding is missing";
            return Ok(Some(format!("{words}: paddock crds | kubectl apply -f -")));
        };
        let as_it_should_be = same(&policy.spec, &admission::policy().spec)
            && same(&binding.spec, &admission::binding().spec);
        if !as_it_should_be {
            let words =
                "the ValidatingAdmissionPolicy paddock-requested-by or its binding was altered";
            return Ok(Some(format!("{words}: paddock crds | kubectl apply -f -")));
        }
        let changed = changed(&policy.metadata).max(changed(&binding.metadata));
        Ok(match changed {
            Some(changed) if changed + SETTLES <= created => None,
            _ => Some("the policy was made or changed after the object: delete the object and apply it again".to_owned()),
        })
    }
}

/// Who this process is to the API server.
pub(super) async fn own_name(client: &Client) -> kube::Result<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = review.status.and_then(|status| status.user_info);
    Ok(user.and_then(|user| user.username).unwrap_or_default())
}

/// When anything but its status was last changed.
fn changed(metadata: &ObjectMeta) -> Option<Timestamp> {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let fields = metadata.managed_fields.iter().flatten();
    let written = fields.filter(|field| field.subresource.is_none());
    created
        .into_iter()
        .chain(written.filter_map(|field| field.time.as_ref().map(|time| time.0)))
        .max()
}

fn same(one: &impl Serialize, other: &impl Serialize) -> bool {
    let plain = |of: Value| without_defaults(of);
    let value = |of: serde_json::Result<Value>| of.map(plain).ok();
    value(serde_json::to_value(one)) == value(serde_json::to_value(other))
}

/// Without what the API server adds to what it is given.
fn without_defaults(mut of: Value) -> Value {
    let defaults = [
        ("matchPolicy", json!("Equivalent")),
        ("namespaceSelector", json!({})),
        ("objectSelector", json!({})),
        ("scope", json!("*")),
    ];
    match &mut of {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                !value.is_null()
                    && !defaults.iter().any(|(known, default)| name == known && value == default)
            });
            for value in fields.values_mut() {
                *value = without_defaults(value.take());
            }
        }
        Value::Array(items) => {
            for value in items {
                *value = without_defaults(value.take());
            }
        }
        _ => {}
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Value {
        let mut spec = serde_json::to_value(admission::policy().spec).unwrap();
        spec["matchConstraints"]["matchPolicy"] = json!("Equivalent");
        spec["matchConstraints"]["namespaceSelector"] = json!({});
        spec["matchConstraints"]["objectSelector"] = json!({});
        spec["matchConstraints"]["resourceRules"][0]["scope"] = json!("*");
        spec
    }

    #[test]
    fn what_the_api_server_fills_in_is_no_change() {
        assert!(same(&stored(), &admission::policy().spec));
    }

    #[test]
    fn whatever_narrows_or_softens_the_policy_is_one() {
        type Change = fn(&mut Value);
        let changes: [Change; 6] = [
            |spec| spec["failurePolicy"] = json!("Ignore"),
            |spec| spec["matchConditions"] = json!([{ "name": "never", "expression": "false" }]),
            |spec| {
                spec["matchConstraints"]["objectSelector"] = json!({ "matchLabels": { "a": "b" } });
            },
            |spec| spec["matchConstraints"]["excludeResourceRules"] = json!([{}]),
            |spec| spec["validations"] = json!([]),
            |spec| spec["matchConstraints"]["resourceRules"][0]["operations"] = json!(["CREATE"]),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut spec = stored();
            change(&mut spec);
            assert!(!same(&spec, &admission::policy().spec), "change {at}");
        }
    }
}
