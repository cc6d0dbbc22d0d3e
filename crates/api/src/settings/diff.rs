//! What a change of the settings changes, field by field.

use std::collections::{BTreeMap, BTreeSet};

use domain::settings::{Event, Profile, State, evolve};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    Configured,
    effective::{allow_list, limits, profile, retention},
};

/// One field that a change changes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct FieldChangeBody {
    /// The field, such as `memory_mib` or `env.NODE_ENV`.
    pub(crate) field: String,
    /// What it was; null where it was not there.
    #[schema(value_type = Value)]
    pub(crate) old: Value,
    /// What it is; null where it is not there any more.
    #[schema(value_type = Value)]
    pub(crate) new: Value,
}

/// The section that an event is about, and the profile's name where it is one.
pub(super) fn section(event: &Event) -> (&'static str, Option<&str>) {
    match event {
        Event::LimitsChanged { .. } => ("limits", None),
        Event::AllowListChanged { .. } => ("allow-list", None),
        Event::ProfileChanged { name, .. } | Event::ProfileRemoved { name } => {
            ("profiles", Some(name))
        }
        Event::RetentionChanged { .. } => ("retention", None),
    }
}

/// What `event` changes of what holds in `before`.
pub(super) fn changes(
    configured: &Configured,
    before: &State,
    event: &Event,
) -> Vec<FieldChangeBody> {
    let after = evolve(before.clone(), event);
    match event {
        Event::LimitsChanged { .. } => {
            let of = |state: &State| json!(limits(configured, state));
            fields(&of(before), &of(&after))
        }
        Event::RetentionChanged { .. } => {
            let of = |state: &State| json!(retention(configured, state));
            fields(&of(before), &of(&after))
        }
        Event::AllowListChanged { .. } => {
            hosts(allow_list(configured, before), allow_list(configured, &after))
        }
        Event::ProfileChanged { name, .. } | Event::ProfileRemoved { name } => {
            let of = |state: &State| flat(profile(configured, state, name));
            fields(&of(before), &of(&after))
        }
    }
}

fn hosts(old: Vec<String>, new: Vec<String>) -> Vec<FieldChangeBody> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) =
        (old.into_iter().collect(), new.into_iter().collect());
    let change = |old: Value, new: Value| FieldChangeBody { field: "hosts".to_owned(), old, new };
    let gone = old.difference(&new).map(|host| change(json!(host), Value::Null));
    let come = new.difference(&old).map(|host| change(Value::Null, json!(host)));
    gone.chain(come).collect()
}

/// A profile with each variable as a field of its own.
fn flat(profile: Option<Profile>) -> Value {
    let Some(profile) = profile else { return json!({}) };
    let mut whole = json!(profile);
    if let Value::Object(fields) = &mut whole
        && let Some(Value::Object(env)) = fields.remove("env")
    {
        fields.extend(env.into_iter().map(|(name, value)| (format!("env.{name}"), value)));
    }
    whole
}

fn fields(old: &Value, new: &Value) -> Vec<FieldChangeBody> {
    let of = |value: &Value| -> BTreeMap<String, Value> {
        value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let (old, new) = (of(old), of(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let value = |of: &BTreeMap<String, Value>| of.get(name).cloned().unwrap_or_default();
        let (old, new) = (value(&old), value(&new));
        (old != new).then(|| FieldChangeBody { field: name.clone(), old, new })
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use domain::settings::Limits;

    use super::*;

    fn told(changes: &[FieldChangeBody]) -> Vec<String> {
        changes.iter().map(|c| format!("{} {}→{}", c.field, c.old, c.new)).collect()
    }

    #[test]
    fn a_change_is_told_against_what_held_before_it_whoever_said_so() {
        let configured = Configured::default();
        let state = State::default();
        let limits = Some(Limits { max_runs: 9, max_runs_per_owner: 4 });
        let more = Event::LimitsChanged { limits };
        assert_eq!(told(&changes(&configured, &state, &more)), ["max_runs 4→9"]);
        let state = evolve(state, &more);
        let back = Event::LimitsChanged { limits: None };
        assert_eq!(told(&changes(&configured, &state, &back)), ["max_runs 9→4"]);
        let hosts = |hosts: &[&str]| Event::AllowListChanged {
            hosts: Some(hosts.iter().map(|host| (*host).to_owned()).collect()),
        };
        let state = evolve(state, &hosts(&["a.org", "b.org"]));
        let changed = changes(&configured, &state, &hosts(&["b.org", "c.org"]));
        assert_eq!(told(&changed), ["hosts \"a.org\"→null", "hosts null→\"c.org\""]);
    }

    #[test]
    fn variables_of_a_profile_are_fields_of_their_own_and_a_removed_one_has_none_left() {
        let configured = Configured::default();
        let with = |env: &[(&str, &str)]| Event::ProfileChanged {
            name: "default".to_owned(),
            profile: Box::new(Profile {
                env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
                ..Profile::default()
            }),
        };
        let state = State::default();
        let first = with(&[("A", "1"), ("B", "2")]);
        let changed = changes(&configured, &state, &first);
        assert_eq!(told(&changed), ["env.A null→\"1\"", "env.B null→\"2\""]);
        let state = evolve(state, &first);
        let changed = changes(&configured, &state, &with(&[("A", "3")]));
        assert_eq!(told(&changed), ["env.A \"1\"→\"3\"", "env.B \"2\"→null"]);
        let gone = Event::ProfileRemoved { name: "default".to_owned() };
        let changed = changes(&configured, &state, &gone);
        assert!(changed.iter().all(|change| change.new.is_null()) && changed.len() > 10);
    }
}
