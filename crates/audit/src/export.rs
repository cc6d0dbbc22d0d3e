//! The whole log as one file: lines of JSON, each in its one canonical form (RFC 8785).
//!
//! ```text
//! {"format":"paddock-audit-export","keys":[…],"origin":…,"size":…,"version":1}
//! {"body":…,"entry":{…},"leaf":…,"position":1}       an event: its body, what its leaf is made of, its leaf
//! {"salt":…,"text":…,"text_id":…}                    for each text that its body refers to, in the order of their ids
//! {"erased":…}                                       or this where the text was erased
//! {"checkpoint":…}                                   what was signed at this size; the last line is one
//! ```
//!
//! What a line says that nothing else proves is in no line: so no byte of a file can be another.

use std::borrow::Cow;

use domain::leaf::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{SignedCheckpoint, VerifyingKey};

pub(crate) const FORMAT: &str = "paddock-audit-export";
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: String,
    /// The keys that signed it, the oldest first.
    pub(crate) keys: Vec<String>,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventLine<'a> {
    #[serde(borrow)]
    pub(crate) body: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) entry: EntryForm<'a>,
    #[serde(borrow)]
    pub(crate) leaf: Cow<'a, str>,
    pub(crate) position: u64,
}

/// What a leaf is the hash of: as [`Entry::canonical`] has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryForm<'a> {
    #[serde(borrow)]
    pub(crate) actor: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) body_hash: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    pub(crate) schema: u16,
    #[serde(borrow)]
    pub(crate) stream: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) time: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub(crate) name: Cow<'a, str>,
    /// A number, or a string where it is beyond 2^53.
    pub(crate) version: Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextLine<'a> {
    #[serde(borrow)]
    pub(crate) salt: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) text: Cow<'a, str>,
    pub(crate) text_id: Uuid,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasedLine {
    pub(crate) erased: Uuid,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointLine<'a> {
    #[serde(borrow)]
    pub(crate) checkpoint: Cow<'a, str>,
}

/// A body is not text, so that no line can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body at position {0} is not UTF-8")]
pub struct NotText(pub u64);

/// The first line of the export of a log of that size.
pub fn header(out: &mut Vec<u8>, origin: &str, size: u64, keys: &[VerifyingKey]) {
    let keys = keys.iter().map(ToString::to_string).collect();
    let (format, origin) = (FORMAT.to_owned(), origin.to_owned());
    line(out, &Header { format, keys, origin, size, version: VERSION });
}

/// The line of an event.
pub fn event(out: &mut Vec<u8>, position: u64, entry: &Entry<'_>) -> Result<(), NotText> {
    let body = std::str::from_utf8(entry.body).map_err(|_| NotText(position))?;
    let canonical = entry.canonical();
    let leaf = hex::encode(entry.leaf());
    out.extend_from_slice(b"{\"body\":");
    json(out, body);
    out.extend_from_slice(b",\"entry\":");
    out.extend_from_slice(&canonical);
    out.extend_from_slice(format!(",\"leaf\":\"{leaf}\",\"position\":{position}}}\n").as_bytes());
    Ok(())
}

/// The line of a text that is there.
pub fn text(out: &mut Vec<u8>, id: Uuid, salt: &[u8], text: &str) {
    line(out, &TextLine { salt: hex::encode(salt).into(), text: text.into(), text_id: id });
}

/// The line of a text that was erased.
pub fn erased(out: &mut Vec<u8>, id: Uuid) {
    line(out, &ErasedLine { erased: id });
}

/// The line of a checkpoint.
pub fn checkpoint(out: &mut Vec<u8>, checkpoint: &SignedCheckpoint) {
    line(out, &CheckpointLine { checkpoint: checkpoint.note().into() });
}

/// The texts that a body refers to, each with its commitment, in the order of their ids, each once.
#[must_use]
pub fn references(body: &[u8]) -> Vec<(Uuid, String)> {
    let mut found = vec![];
    // Most bodies refer to none, and need not be read for that.
    if body.windows(8).any(|part| part == b"\"commit\"")
        && let Ok(body) = serde_json::from_slice(body)
    {
        collect(&body, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn collect(body: &Value, found: &mut Vec<(Uuid, String)>) {
    match body {
        Value::Object(fields) => {
            if let (Some(Value::String(text)), Some(Value::String(commit))) =
                (fields.get("ref"), fields.get("commit"))
                && let Ok(text) = Uuid::try_parse(text)
            {
                found.push((text, commit.clone()));
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn line(out: &mut Vec<u8>, line: &impl Serialize) {
    json(out, line);
    out.push(b'\n');
}

/// The canonical form of values whose fields are declared in their order, and that have no fractions: what
/// `serde_json` writes of these is what RFC 8785 says, which a test compares.
fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Writing to memory does not fail, and neither do strings and integers.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_the_canonical_form(salt in any::<[u8; 16]>(), words in any::<String>()) {
            let mut out = vec![];
            text(&mut out, Uuid::nil(), &salt, &words);
            let value: Value = serde_json::from_slice(&out).unwrap();
            let canonical = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(&out[..out.len() - 1], &canonical[..]);
        }
    }
}
