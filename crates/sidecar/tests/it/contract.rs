use anyhow::{Context as _, ensure};
use serde_json::Value;
use sidecar::opencode::ENDPOINTS;

use crate::server::Server;

/// The fields that the client reads, by the schema they are in and a path through it.
const FIELDS: &[(&str, &str)] = &[
    ("Session", "id"),
    ("Session", "directory"),
    ("Session", "parentID"),
    ("Session", "time.created"),
    ("Session", "time.updated"),
    ("Session", "cost"),
    ("Session", "tokens.input"),
    ("Session", "tokens.output"),
    ("Session", "tokens.reasoning"),
    ("Session", "tokens.cache.read"),
    ("Session", "tokens.cache.write"),
    ("UserMessage", "id"),
    ("UserMessage", "role"),
    ("UserMessage", "time.created"),
    ("AssistantMessage", "id"),
    ("AssistantMessage", "role"),
    ("AssistantMessage", "parentID"),
    ("AssistantMessage", "time.created"),
    ("AssistantMessage", "time.completed"),
    ("AssistantMessage", "finish"),
    ("AssistantMessage", "error"),
    ("MessageAbortedError", "name"),
    ("APIError", "data.message"),
    ("PermissionRequest", "id"),
    ("PermissionRequest", "sessionID"),
    ("QuestionRequest", "id"),
    ("QuestionRequest", "sessionID"),
];

/// The fields that the client sends, by the operation.
const SENT: &[(&str, &str, &[&str])] = &[
    ("post", "/session", &["title"]),
    ("post", "/session/{sessionID}/prompt_async", &["messageID", "parts"]),
    ("post", "/permission/{requestID}/reply", &["reply", "message"]),
    ("post", "/question/{requestID}/reply", &["answers"]),
];

/// The fields of events that the client reads. Of all others only that they happened counts.
const EVENTS: &[(&str, &[&str])] = &[
    ("message.part.delta", &["partID", "field", "delta"]),
    ("message.part.updated", &["part"]),
    ("session.idle", &[]),
];

/// The properties of an event, wherever in the description it is.
fn event_of<'a>(doc: &'a Value, event: &str) -> Option<&'a Value> {
    match doc {
        Value::Object(object)
            if object.get("properties").is_some_and(|p| p["type"]["enum"][0] == event) =>
        {
            Some(&object["properties"]["properties"])
        }
        Value::Object(object) => object.values().find_map(|value| event_of(value, event)),
        Value::Array(values) => values.iter().find_map(|value| event_of(value, event)),
        _ => None,
    }
}

#[tokio::test]
async fn every_call_and_field_in_use_is_in_the_servers_own_description() -> anyhow::Result<()> {
    let server = Server::start("http://127.0.0.1:9/v1").await?;
    let doc = server.get("doc").await?;
    for (method, path) in ENDPOINTS {
        ensure!(doc["paths"][path][method].is_object(), "no {method} {path}");
    }
    for (schema, path) in FIELDS {
        ensure!(has_field(&doc, schema, path), "{schema} has no {path}");
    }
    for (method, path, fields) in SENT {
        let body =
            &doc["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"];
        for field in *fields {
            ensure!(body["properties"][field].is_object(), "{method} {path} takes no {field}");
        }
    }
    let statuses = doc["components"]["schemas"]["SessionStatus"]["anyOf"].as_array();
    let statuses = statuses.context("SessionStatus is no choice")?;
    for name in ["idle", "busy", "retry"] {
        let there = statuses.iter().any(|status| status["properties"]["type"]["enum"][0] == name);
        ensure!(there, "no status {name}");
    }
    for (event, fields) in EVENTS {
        let heard = event_of(&doc, event).with_context(|| format!("no event {event}"))?;
        for field in *fields {
            ensure!(heard["properties"][field].is_object(), "{event} has no {field}");
        }
    }
    ensure!(event_of(&doc, "no.such.event").is_none(), "the search finds every event");
    ensure!(!has_field(&doc, "Session", "no.such.field"), "the search finds everything");
    Ok(())
}

fn has_field(doc: &Value, schema: &str, path: &str) -> bool {
    let mut at = &doc["components"]["schemas"][schema];
    for name in path.split('.') {
        at = &at["properties"][name];
        if let Some(reference) = at["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            at = &doc["components"]["schemas"][name];
        }
    }
    at.is_object()
}
