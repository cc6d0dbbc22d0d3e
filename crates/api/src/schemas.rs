//! JSON Schemas of the events, by wire name and version.

use axum::Json;
use domain::{actor, binding, codec::current_schema, credential, log, run, session, settings};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::{
    access::PublicRoute,
    problem::{Answer, Problem},
    request::Segments,
};

/// The schema of one event's body. Public: it says nothing about anybody.
#[utoipa::path(get, path = "/schemas/{type}/{version}", operation_id = "getSchema", tag = "schemas",
    params(("type" = String, Path), ("version" = u16, Path)), security(()),
    responses((status = 200, description = "A JSON Schema", content_type = "application/schema+json")))]
pub(crate) async fn get_schema(
    _: PublicRoute,
    Segments((name, version)): Segments<(String, u16)>,
) -> Answer<Json<Value>> {
    let unknown = || Problem::not_found("schema");
    if version != current_schema(&name) {
        return Err(unknown());
    }
    let whole = match name.split('.').next() {
        Some("session") => schema_for!(session::Event),
        Some("run") => schema_for!(run::Event),
        Some("actor") => schema_for!(actor::Event),
        Some("binding") => schema_for!(binding::Event),
        Some("credential") => schema_for!(credential::Event),
        Some("log") => schema_for!(log::Event),
        Some("settings") => schema_for!(settings::Event),
        _ => return Err(unknown()),
    };
    let whole = whole.to_value();
    let variants = whole["oneOf"].as_array().ok_or_else(unknown)?;
    let variant = variants.iter().find(|variant| variant["properties"]["type"]["const"] == name);
    let body = &variant.ok_or_else(unknown)?["properties"]["body"];
    let mut schema = json!({ "$schema": whole["$schema"], "title": name, "$defs": whole["$defs"] });
    if let (Value::Object(schema), Value::Object(body)) = (&mut schema, body) {
        schema.extend(body.clone());
    }
    Ok(Json(schema))
}
