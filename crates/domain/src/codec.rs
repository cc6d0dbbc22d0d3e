//! The stored form of events: a permanent wire name, a schema version and the exact bytes of a JSON
//! body. Old versions are upcast on read, one pure step a version.

#[cfg(test)]
mod tests;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{event::Event, stream::StreamKind};

/// An event's body as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The permanent wire name, such as `run.requested`.
    pub name: String,
    /// The version of the body's schema, from 1.
    pub schema: u16,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// Why stored bytes are not an event that this build knows.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The body is not JSON.
    #[error("the body of {name} is not JSON")]
    NotJson {
        /// The wire name.
        name: String,
        /// What the parser found.
        source: serde_json::Error,
    },
    /// A newer Paddock wrote it.
    #[error("{name} has schema version {found}; this build knows up to {known}")]
    TooNew {
        /// The wire name.
        name: String,
        /// What the row says.
        found: u16,
        /// The newest known.
        known: u16,
    },
    /// The name is unknown or the body does not fit it.
    #[error("{name} version {schema} does not decode")]
    Unknown {
        /// The wire name.
        name: String,
        /// What the row says.
        schema: u16,
        /// What did not fit.
        source: serde_json::Error,
    },
}

/// One step of an upcast: the body of one version to that of the next.
pub type Upcast = fn(Value) -> Value;

/// The upcasters of every name that ever changed: the step at index *n* takes version *n* + 1 to
/// *n* + 2. A name without a row is at version 1.
const UPCASTS: &[(&str, &[Upcast])] = &[];

/// The schema version that this build writes for `name`.
#[must_use]
pub fn current_schema(name: &str) -> u16 {
    schema_of(upcasts_of(UPCASTS, name))
}

/// Encodes an event at the current schema version.
///
/// # Panics
/// Never: every event is made of strings, numbers and structs, which always serialise.
#[must_use]
pub fn encode(event: &Event) -> Encoded {
    match event {
        Event::Session(event) => encode_tagged(event),
        Event::Run(event) => encode_tagged(event),
        Event::Actor(event) => encode_tagged(event),
        Event::Log(event) => encode_tagged(event),
        Event::Settings(event) => encode_tagged(event),
        Event::Binding(event) => encode_tagged(event),
        Event::Credential(event) => encode_tagged(event),
    }
}

/// Decodes a stored event of a stream of `kind`, upcasting it first if it is old.
pub fn decode(
    kind: StreamKind,
    name: &str,
    schema: u16,
    body: &[u8],
) -> Result<Event, DecodeError> {
    let value = upcast_with(UPCASTS, name, schema, body)?;
    let unknown = |source| DecodeError::Unknown { name: name.to_owned(), schema, source };
    let tagged = json!({ "type": name, "body": value });
    Ok(match kind {
        StreamKind::Session => Event::Session(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Run => Event::Run(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Actor => Event::Actor(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Log => Event::Log(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Settings => Event::Settings(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Binding => Event::Binding(decode_tagged(tagged).map_err(unknown)?),
        StreamKind::Credential => Event::Credential(decode_tagged(tagged).map_err(unknown)?),
    })
}

fn upcast_with(
    table: &[(&str, &[Upcast])],
    name: &str,
    schema: u16,
    body: &[u8],
) -> Result<Value, DecodeError> {
    let steps = upcasts_of(table, name);
    let known = schema_of(steps);
    if schema > known || schema == 0 {
        return Err(DecodeError::TooNew { name: name.to_owned(), found: schema, known });
    }
    let value = serde_json::from_slice(body)
        .map_err(|source| DecodeError::NotJson { name: name.to_owned(), source })?;
    Ok(steps[usize::from(schema - 1)..].iter().fold(value, |value, step| step(value)))
}

fn upcasts_of<'a>(table: &'a [(&str, &'a [Upcast])], name: &str) -> &'a [Upcast] {
    table.iter().find(|(known, _)| *known == name).map_or(&[], |(_, steps)| steps)
}

fn schema_of(steps: &[Upcast]) -> u16 {
    u16::try_from(steps.len()).unwrap_or(u16::MAX - 1) + 1
}

fn encode_tagged<E: Serialize>(event: &E) -> Encoded {
    let mut tagged = serde_json::to_value(event).expect("events serialise");
    let name = tagged["type"].as_str().expect("events are tagged").to_owned();
    let body = serde_json::to_vec(&tagged["body"].take()).expect("a JSON value serialises");
    Encoded { schema: current_schema(&name), name, body }
}

fn decode_tagged<E: DeserializeOwned>(tagged: Value) -> Result<E, serde_json::Error> {
    serde_json::from_value(tagged)
}
