use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// More groups than this are as many as nobody counts.
const MOST_GROUPS: usize = 1_000;
/// The longest name of a group, in bytes.
const LONGEST_GROUP: usize = 256;

/// Whatever a token says beside what every token says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(pub(super) Map<String, Value>);

impl openidconnect::AdditionalClaims for Claims {}

/// Who the provider says somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) subject: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    /// None is unknown: the claim is missing, is no list of names, or says that there are too many to tell.
    pub(crate) groups: Option<Vec<String>>,
    /// The provider's name of this sign-in.
    pub(crate) sid: Option<String>,
}

/// What claims say of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Groups {
    Known(Vec<String>),
    /// Nothing is said.
    Missing,
    /// Something is said that must not be taken for all of them.
    Unusable,
}

impl Groups {
    /// Reads them at a claim's name. Where it says that they are kept elsewhere (`_claim_names`, `hasgroups`),
    /// what is in the token does not count: it may be a part.
    pub(super) fn of(claims: &Map<String, Value>, name: &str) -> Self {
        let top = name.split('.').next().unwrap_or(name);
        let is_elsewhere = claims
            .get("_claim_names")
            .is_some_and(|names| names.get(name).is_some() || names.get(top).is_some());
        let is_too_many =
            claims.get("hasgroups").is_some_and(|has| has != &Value::Bool(false) && !has.is_null());
        if is_elsewhere || is_too_many {
            return Self::Unusable;
        }
        let claim = claims.get(name).or_else(|| {
            let mut steps = name.split('.');
            let first = claims.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        });
        match claim {
            None | Some(Value::Null) => Self::Missing,
            Some(Value::String(one)) => Self::listed(&[Value::String(one.clone())]),
            Some(Value::Array(all)) => Self::listed(all),
            Some(_) => Self::Unusable,
        }
    }

    fn listed(all: &[Value]) -> Self {
        let fits = |name: &&str| !name.is_empty() && name.len() <= LONGEST_GROUP;
        let names: Option<Vec<String>> =
            all.iter().map(|one| one.as_str().filter(fits).map(str::to_owned)).collect();
        match names {
            Some(mut names) if names.len() <= MOST_GROUPS => {
                names.sort_unstable();
                names.dedup();
                Self::Known(names)
            }
            Some(_) | None => Self::Unusable,
        }
    }

    pub(super) fn known(self) -> Option<Vec<String>> {
        match self {
            Self::Known(names) => Some(names),
            Self::Missing | Self::Unusable => None,
        }
    }
}

/// A name or an address as it may be shown: one line, of bounded length.
pub(super) fn shown(text: Option<&str>) -> Option<String> {
    let text: String = text?.chars().filter(|c| !c.is_control()).take(200).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn groups(claims: Value, name: &str) -> Groups {
        let Value::Object(claims) = claims else { panic!("an object") };
        Groups::of(&claims, name)
    }

    #[test]
    fn groups_are_known_only_where_the_claim_lists_them() {
        let known = |names: &[&str]| Groups::Known(names.iter().map(|&n| n.to_owned()).collect());
        for (claims, name, expected) in [
            (json!({ "groups": ["b", "a", "a"] }), "groups", known(&["a", "b"])),
            (json!({ "groups": "one" }), "groups", known(&["one"])),
            (json!({ "groups": [] }), "groups", known(&[])),
            (json!({}), "groups", Groups::Missing),
            (json!({ "groups": null }), "groups", Groups::Missing),
            (json!({ "roles": ["a"] }), "groups", Groups::Missing),
            (json!({ "realm": { "roles": ["a"] } }), "realm.roles", known(&["a"])),
            (json!({ "https://x.test/groups": ["a"] }), "https://x.test/groups", known(&["a"])),
            (json!({ "groups": [7] }), "groups", Groups::Unusable),
            (json!({ "groups": ["a", ""] }), "groups", Groups::Unusable),
            (json!({ "groups": { "a": true } }), "groups", Groups::Unusable),
        ] {
            assert_eq!(groups(claims.clone(), name), expected, "{claims} at {name}");
        }
    }

    #[test]
    fn a_token_that_has_no_room_for_the_groups_says_nothing_of_them() {
        for claims in [
            json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": {} }),
            // What is there beside it may be a part.
            json!({ "groups": ["a"], "_claim_names": { "groups": "src1" } }),
            json!({ "groups": ["a"], "hasgroups": true }),
            json!({ "groups": vec!["g"; MOST_GROUPS + 1] }),
            json!({ "groups": ["x".repeat(LONGEST_GROUP + 1)] }),
        ] {
            assert_eq!(groups(claims.clone(), "groups"), Groups::Unusable, "{claims}");
        }
        let others = json!({ "groups": ["a"], "_claim_names": { "address": "src1" } });
        assert_eq!(groups(others, "groups"), Groups::Known(vec!["a".to_owned()]));
    }
}
