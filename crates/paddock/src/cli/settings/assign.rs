//! `key=value` on the command line, put into a section.

use serde_json::{Map, Value, json};

/// Fields that are text whatever they look like.
const TEXTS: [&str; 4] = ["description", "image", "runtime_class", "egress"];

/// The section with these values in it. Of a profile that is not there yet, what is not named is as by default.
pub(super) fn assign(section: Option<Value>, values: &[String]) -> Result<Value, String> {
    let mut section = section.unwrap_or_else(|| json!({}));
    let fields = section.as_object_mut().ok_or("the server's answer is not as expected")?;
    for assignment in values {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| format!("{assignment}: write it as KEY=VALUE"))?;
        if key.is_empty() {
            return Err(format!("{assignment}: write it as KEY=VALUE"));
        }
        if let Some(name) = key.strip_prefix("env.") {
            variable(fields, name, text);
        } else if matches!(key, "hosts" | "add" | "remove") {
            hosts(fields, key, text)?;
        } else {
            fields.insert(key.to_owned(), value(key, text));
        }
    }
    Ok(section)
}

fn value(key: &str, text: &str) -> Value {
    if TEXTS.contains(&key) && text != "null" {
        return json!(text);
    }
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// A variable is text, also where it looks like a number.
fn variable(fields: &mut Map<String, Value>, name: &str, text: &str) {
    let env = fields.entry("env").or_insert_with(|| json!({}));
    if let Value::Object(env) = env {
        if text == "null" {
            env.remove(name);
        } else {
            env.insert(name.to_owned(), json!(text));
        }
    }
}

fn hosts(fields: &mut Map<String, Value>, key: &str, text: &str) -> Result<(), String> {
    let named: Vec<&str> = text.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    let known = fields.get("hosts").and_then(Value::as_array).cloned().unwrap_or_default();
    let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
    let next: Vec<&str> = match key {
        "add" => known.iter().copied().chain(named).collect(),
        "remove" => {
            if let Some(missing) = named.iter().find(|host| !known.contains(host)) {
                return Err(format!("{missing} is not on the allow-list"));
            }
            known.iter().copied().filter(|host| !named.contains(host)).collect()
        }
        _ => named,
    };
    let next = json!(next);
    fields.insert("hosts".to_owned(), next);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(section: Value, values: &[&str]) -> Result<Value, String> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        assign(Some(section), &values)
    }

    #[test]
    fn what_is_not_named_stays_and_values_are_what_they_look_like() {
        let profile = json!({ "memory_mib": 1, "image": "a", "env": { "A": "1", "B": "2" } });
        let values = [
            "memory_mib=4096",
            "image=null",
            "description=7",
            "env.C=3",
            "env.A=null",
            "permission={\"*\":\"ask\"}",
        ];
        let expected = json!({
            "memory_mib": 4096, "image": null, "description": "7",
            "env": { "B": "2", "C": "3" }, "permission": { "*": "ask" },
        });
        assert_eq!(assigned(profile, &values), Ok(expected));
        assert_eq!(assign(None, &["env.X=1".to_owned()]), Ok(json!({ "env": { "X": "1" } })));
        for wrong in ["max_runs", "=1"] {
            assert!(assigned(json!({}), &[wrong]).is_err());
        }
    }

    #[test]
    fn rules_of_the_allow_list_are_set_added_and_taken_away() {
        let list = json!({ "hosts": ["a.org", "b.org"] });
        let next = |value| assigned(list.clone(), &[value]).map(|list| list["hosts"].clone());
        assert_eq!(next("hosts=c.org, .d.org"), Ok(json!(["c.org", ".d.org"])));
        assert_eq!(next("hosts="), Ok(json!([])));
        assert_eq!(next("add=c.org"), Ok(json!(["a.org", "b.org", "c.org"])));
        assert_eq!(next("remove=a.org"), Ok(json!(["b.org"])));
        assert!(next("remove=x.org").is_err());
    }
}
