//! Who asked: the policy by which the API server itself vouches for the name on an object.
//!
//! A controller sees objects, not requests, so it cannot know who applied one. The API server does: on every creation, and
//! every change of a spec, it requires that an annotation says the name that the request was authenticated as. Objects
//! are acted on only while this policy is there, unmodified (design §10).

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
        ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::crds::GROUP;

/// The annotation that says who asked.
pub const REQUESTED_BY: &str = "paddock.dev/requested-by";
/// What the policy and its binding are called.
pub const NAME: &str = "paddock-requested-by";

/// The policy.
#[must_use]
pub fn policy() -> ValidatingAdmissionPolicy {
    let named = |name: &str, of: &str| Variable {
        name: name.to_owned(),
        expression: format!("{of}.metadata.?annotations[?'{REQUESTED_BY}'].orValue('')"),
    };
    ValidatingAdmissionPolicy {
        metadata: metadata(),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            match_constraints: Some(MatchResources {
                resource_rules: Some(vec![NamedRuleWithOperations {
                    api_groups: Some(vec![GROUP.to_owned()]),
                    api_versions: Some(vec!["*".to_owned()]),
                    operations: Some(vec!["CREATE".to_owned(), "UPDATE".to_owned()]),
                    resources: Some(vec!["sessions".to_owned(), "harnessruns".to_owned()]),
                    ..NamedRuleWithOperations::default()
                }]),
                ..MatchResources::default()
            }),
            variables: Some(vec![
                named("says", "object"),
                Variable {
                    name: "said".to_owned(),
                    expression: format!(
                        "oldObject == null ? '' : {}",
                        named("", "oldObject").expression
                    ),
                },
                Variable {
                    name: "asks".to_owned(),
                    expression: "oldObject == null || object.spec != oldObject.spec".to_owned(),
                },
            ]),
            validations: Some(vec![
                Validation {
                    expression: "!variables.asks || variables.says == request.userInfo.username"
                        .to_owned(),
                    message_expression: Some(format!(
                        "'the annotation {REQUESTED_BY} has to be ' + request.userInfo.username + \
                         ': it says who asked'"
                    )),
                    reason: Some("Forbidden".to_owned()),
                    ..Validation::default()
                },
                Validation {
                    expression: "variables.asks || variables.says == variables.said".to_owned(),
                    message: Some(format!(
                        "the annotation {REQUESTED_BY} says who asked, and changes with the spec only"
                    )),
                    reason: Some("Forbidden".to_owned()),
                    ..Validation::default()
                },
            ]),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        status: None,
    }
}

/// What puts the policy in force, everywhere.
#[must_use]
pub fn binding() -> ValidatingAdmissionPolicyBinding {
    ValidatingAdmissionPolicyBinding {
        metadata: metadata(),
        spec: Some(ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(NAME.to_owned()),
            validation_actions: Some(vec!["Deny".to_owned()]),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        }),
    }
}

fn metadata() -> ObjectMeta {
    ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }
}
