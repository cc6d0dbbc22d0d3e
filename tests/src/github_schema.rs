//! What GitHub's published description says of the operations in use, as JSON Schema.
//!
//! `tests/fixtures/github-openapi.json` is cut from that description by `scripts/github-schemas`.

use std::fmt;

use serde_json::{Map, Value, json};

/// Statuses that GitHub answers to any operation, which its description names for few.
const ANYWHERE: [u16; 4] = [400, 401, 403, 404];

/// GitHub's description, as far as it is in use.
#[derive(Clone, Debug)]
pub struct Description(Value);

/// Why an answer cannot be one of GitHub's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undescribed {
    /// There is no such operation among those in use.
    Operation(String),
    /// The operation never answers with that status.
    Status(u16),
}

impl fmt::Display for Undescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(operation) => write!(f, "{operation} is not described"),
            Self::Status(status) => write!(f, "the operation never answers {status}"),
        }
    }
}

impl std::error::Error for Undescribed {}

impl Description {
    /// The committed one.
    #[must_use]
    pub fn committed() -> Self {
        let text = include_str!("../fixtures/github-openapi.json");
        Self(serde_json::from_str(text).unwrap_or(Value::Null))
    }

    /// The JSON Schema (2020-12) of an operation's answer; `path` is a request's, below the API's root and
    /// without its query. A null schema means that there is no body.
    pub fn answer(&self, method: &str, path: &str, status: u16) -> Result<Value, Undescribed> {
        let operation = self.operation(method, path)?;
        let described = operation["responses"].get(status.to_string());
        let schema = match described {
            Some(schema) => schema.clone(),
            None if ANYWHERE.contains(&status) => {
                json!({ "$ref": "#/components/schemas/basic-error" })
            }
            None => return Err(Undescribed::Status(status)),
        };
        Ok(self.whole(schema))
    }

    /// The JSON Schema of an operation's request body; null where it has none.
    pub fn request(&self, method: &str, path: &str) -> Result<Value, Undescribed> {
        Ok(self.whole(self.operation(method, path)?["request"].clone()))
    }

    /// The operations in use, as method and path template.
    #[must_use]
    pub fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object();
        let paths = paths.into_iter().flatten();
        paths
            .flat_map(|(template, methods)| {
                let methods = methods.as_object().into_iter().flatten();
                methods.map(|(method, _)| (method.to_uppercase(), template.clone()))
            })
            .collect()
    }

    fn operation(&self, method: &str, path: &str) -> Result<&Value, Undescribed> {
        let method = method.to_lowercase();
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let fitting = paths
            .filter(|(template, methods)| methods.get(&method).is_some() && fits(template, path));
        // Of several the one that says most in its own words.
        let best = fitting.max_by_key(|(template, _)| words(template));
        best.map(|(_, methods)| &methods[&method])
            .ok_or_else(|| Undescribed::Operation(format!("{method} {path}")))
    }

    /// A schema with all that it refers to.
    fn whole(&self, schema: Value) -> Value {
        if schema.is_null() {
            return schema;
        }
        let mut whole = translated(schema);
        whole["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        whole["components"] = json!({ "schemas": {} });
        let schemas = self.0["components"]["schemas"].as_object().into_iter().flatten();
        for (name, schema) in schemas {
            whole["components"]["schemas"][name] = translated(schema.clone());
        }
        whole
    }
}

fn words(template: &str) -> usize {
    template.split('/').filter(|part| !part.starts_with('{')).count()
}

/// Whether a path fits a template. A path, a reference and a branch have slashes of their own.
fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/').peekable(), path.split('/').peekable());
    while let Some(part) = template.next() {
        let Some(given) = path.next() else { return false };
        if matches!(part, "{path}" | "{ref}" | "{branch}") && template.peek().is_none() {
            return true;
        }
        let fits = if part.starts_with('{') { !given.is_empty() } else { part == given };
        if !fits {
            return false;
        }
    }
    path.peek().is_none()
}

/// A schema of OpenAPI 3.0 as JSON Schema: `nullable` becomes a type beside the others.
fn translated(schema: Value) -> Value {
    let Value::Object(fields) = schema else {
        return match schema {
            Value::Array(items) => items.into_iter().map(translated).collect(),
            plain => plain,
        };
    };
    let mut plain = Map::new();
    let mut nullable = false;
    for (key, value) in fields {
        match key.as_str() {
            "nullable" => nullable = value == true,
            // A hint for programs that make types.
            "discriminator" => {}
            "enum" | "required" => {
                plain.insert(key, value);
            }
            "properties" => {
                let Value::Object(properties) = value else { continue };
                let properties = properties.into_iter();
                let properties = properties.map(|(name, schema)| (name, translated(schema)));
                plain.insert(key, Value::Object(properties.collect()));
            }
            _ => {
                plain.insert(key, translated(value));
            }
        }
    }
    if nullable { json!({ "anyOf": [{ "type": "null" }, plain] }) } else { Value::Object(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_the_operation_that_says_most() {
        let description = Description::committed();
        let known = |method: &str, path: &str| description.operation(method, path).is_ok();
        assert!(known("GET", "/repos/a/b/contents/.github/x.md"));
        assert!(known("get", "/repos/a/b/git/ref/heads/feature/x"));
        assert!(known("GET", "/repos/a/b/contents/"));
        assert!(known("POST", "/repos/a/b/pulls"));
        assert!(!known("GET", "/repos/a/b/labels"));
        assert!(!known("DELETE", "/repos/a/b/pulls"));
        assert!(!known("GET", "/repos/a"));
        let list = description.operation("GET", "/repos/a/b/pulls").unwrap();
        let one = description.operation("GET", "/repos/a/b/pulls/1").unwrap();
        assert_ne!(list, one);
    }

    #[test]
    fn nullable_becomes_a_choice_and_a_property_of_that_name_stays() {
        let schema = json!({
            "type": "object", "nullable": true,
            "properties": { "nullable": { "type": "string", "nullable": true } },
        });
        let text = json!({ "anyOf": [{ "type": "null" }, { "type": "string" }] });
        assert_eq!(
            translated(schema),
            json!({ "anyOf": [
                { "type": "null" },
                { "type": "object", "properties": { "nullable": text } },
            ] })
        );
    }

    #[test]
    fn a_status_is_described_or_common_or_none() {
        let description = Description::committed();
        let answer = |status| description.answer("GET", "/repos/a/b", status);
        assert!(answer(200).is_ok() && answer(401).is_ok());
        assert_eq!(answer(418), Err(Undescribed::Status(418)));
    }
}
