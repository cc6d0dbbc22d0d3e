//! Every payload ever stored is a fixture here and decodes for ever. A fixture is never edited: a new
//! schema version adds one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use super::*;
use crate::{actor, binding, credential, log, run, session, settings};

/// A stored event: what its row holds.
#[derive(serde::Deserialize)]
struct Fixture {
    kind: StreamKind,
    name: String,
    schema: u16,
    body: Value,
}

fn fixtures() -> BTreeMap<String, Fixture> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fs::read_dir(folder)
        .expect("the folder of fixtures")
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = fs::read(&path).expect("readable");
            (name.clone(), serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
        })
        .collect()
}

#[test]
fn every_payload_ever_stored_decodes() {
    for (file, fixture) in fixtures() {
        let body = serde_json::to_vec(&fixture.body).expect("JSON");
        let event = decode(fixture.kind, &fixture.name, fixture.schema, &body)
            .unwrap_or_else(|error| panic!("{file}: {error:?}"));
        assert!(file.starts_with(&format!("{}.v{}.", fixture.name, fixture.schema)), "{file}");
        let encoded = encode(&event);
        assert_eq!(encoded.name, fixture.name, "{file}");
        if encoded.schema == fixture.schema {
            let again: Value = serde_json::from_slice(&encoded.body).expect("JSON");
            assert_eq!(again, fixture.body, "{file}");
        }
    }
}

/// The wire names of a closed set of events, from its own JSON Schema.
fn names<E: JsonSchema>() -> Vec<String> {
    let schema = schema_for!(E).to_value();
    let variants = schema["oneOf"].as_array().expect("one of several").clone();
    let name = |variant: &Value| variant["properties"]["type"]["const"].as_str().map(str::to_owned);
    variants.iter().map(|variant| name(variant).expect("a name")).collect()
}

#[test]
fn every_event_has_a_fixture_of_every_schema_version() {
    let known: BTreeSet<(String, u16)> =
        fixtures().into_values().map(|fixture| (fixture.name, fixture.schema)).collect();
    let events = [
        names::<session::Event>(),
        names::<run::Event>(),
        names::<actor::Event>(),
        names::<log::Event>(),
        names::<settings::Event>(),
        names::<binding::Event>(),
        names::<credential::Event>(),
    ];
    for name in events.concat() {
        for schema in 1..=current_schema(&name) {
            assert!(
                known.contains(&(name.clone(), schema)),
                "no fixture of {name} version {schema}"
            );
        }
    }
}

/// What changed over three versions of an imagined event: a field renamed, a field added, a number made
/// a text.
const STEPS: &[Upcast] = &[
    |mut body| {
        let renamed = body["label"].take();
        json!({ "title": renamed, "size": body["size"] })
    },
    |mut body| {
        body["unit"] = json!("bytes");
        body
    },
    |mut body| {
        body["size"] = json!(body["size"].to_string());
        body
    },
];

#[test]
fn old_bodies_pass_every_step_from_their_own_version_on() {
    let table: &[(&str, &[Upcast])] = &[("thing.made", STEPS)];
    let newest = json!({ "title": "x", "size": "7", "unit": "bytes" });
    for (schema, body) in [
        (1, json!({ "label": "x", "size": 7 })),
        (2, json!({ "title": "x", "size": 7 })),
        (3, json!({ "title": "x", "size": 7, "unit": "bytes" })),
        (4, newest.clone()),
    ] {
        let body = serde_json::to_vec(&body).expect("JSON");
        let upcast = upcast_with(table, "thing.made", schema, &body).expect("known");
        assert_eq!(upcast, newest, "from version {schema}");
    }
}

#[test]
fn what_a_newer_build_wrote_is_refused_and_says_so() {
    let table: &[(&str, &[Upcast])] = &[("thing.made", STEPS)];
    for schema in [0, 5] {
        let refused = upcast_with(table, "thing.made", schema, b"{}");
        assert!(
            matches!(refused, Err(DecodeError::TooNew { found, known: 4, .. }) if found == schema)
        );
    }
    let refused = upcast_with(table, "thing.unmade", 2, b"{}");
    assert!(matches!(refused, Err(DecodeError::TooNew { found: 2, known: 1, .. })));
}

#[test]
fn unknown_names_wrong_streams_and_broken_bodies_are_errors() {
    let unknown = decode(StreamKind::Run, "run.exploded", 1, b"{}");
    assert!(matches!(unknown, Err(DecodeError::Unknown { .. })));
    let elsewhere = decode(StreamKind::Session, "run.cancelled", 1, b"{}");
    assert!(matches!(elsewhere, Err(DecodeError::Unknown { .. })));
    let broken = decode(StreamKind::Run, "run.cancelled", 1, b"{");
    assert!(matches!(broken, Err(DecodeError::NotJson { .. })));
    let lacking = decode(StreamKind::Run, "run.admitted", 1, b"{}");
    assert!(matches!(lacking, Err(DecodeError::Unknown { .. })));
}
