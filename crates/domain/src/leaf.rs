//! The leaf of each log position: an RFC 6962 leaf hash over the RFC 8785 form of the event's
//! metadata, from which the audit tree is built.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ids::{CorrelationId, EventId};

/// The form that the leaves of new positions have. The first one, which did not cover the correlation, stays
/// readable for ever; a position's row says which it has.
pub const FORM: u16 = 2;

/// What a leaf commits to. Borrowed as stored: the hash must not depend on decoding.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The event's place in it.
    pub version: u64,
    /// The event's id.
    pub id: EventId,
    /// The wire name.
    pub name: &'a str,
    /// When it was appended; microseconds.
    pub time: DateTime<Utc>,
    /// Who caused it, in its text form.
    pub actor: &'a str,
    /// The schema version of the body.
    pub schema: u16,
    /// The exact stored body.
    pub body: &'a [u8],
    /// The command it belongs to; absent in the first form of leaves.
    pub correlation: Option<CorrelationId>,
}

/// An RFC 6962 leaf hash.
pub type LeafHash = [u8; 32];

impl Entry<'_> {
    /// The entry as a leaf of `form` has it.
    #[must_use]
    pub fn in_form(mut self, form: u16) -> Self {
        if form < FORM {
            self.correlation = None;
        }
        self
    }

    /// The RFC 8785 form: `{actor, body_hash, correlation, id, schema, stream, time, type, version}`, the time as
    /// RFC 3339 UTC with six digits, a number beyond 2^53 as a string.
    ///
    /// # Panics
    /// Never: the canonical form of strings and integers always exists.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Form<'a> {
            actor: &'a str,
            body_hash: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            correlation: Option<CorrelationId>,
            id: EventId,
            schema: u16,
            stream: &'a str,
            time: String,
            #[serde(rename = "type")]
            name: &'a str,
            version: serde_json::Value,
        }
        let form = Form {
            actor: self.actor,
            body_hash: hex::encode(Sha256::digest(self.body)),
            correlation: self.correlation,
            id: self.id,
            schema: self.schema,
            stream: self.stream,
            time: self.time.to_rfc3339_opts(SecondsFormat::Micros, true),
            name: self.name,
            version: if self.version > 1 << 53 {
                self.version.to_string().into()
            } else {
                self.version.into()
            },
        };
        serde_json_canonicalizer::to_vec(&form).expect("strings and integers have a canonical form")
    }

    /// The leaf hash: SHA-256 of 0x00 and the canonical form (RFC 6962, section 2.1).
    #[must_use]
    pub fn leaf(&self) -> LeafHash {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(self.canonical());
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(version: u64) -> Entry<'static> {
        Entry {
            stream: "run-01890a5d-ac96-774b-bcce-b302099a8057",
            version,
            id: EventId(Uuid::from_u128(0x0189_0a5d_ac96_7ab2_80e2_4536_629c_90de)),
            name: "run.admitted",
            time: DateTime::from_timestamp(1_767_323_045, 600_000).expect("in range"),
            actor: "system:admission",
            schema: 1,
            body: br#"{"generation":1}"#,
            correlation: None,
        }
    }

    /// Both computed once by another program (Python's json and hashlib). They never change: every leaf
    /// ever stored depends on it.
    #[test]
    fn the_leaf_of_a_known_event_is_known() {
        let canonical = String::from_utf8(entry(3).canonical()).expect("UTF-8");
        assert_eq!(canonical, CANONICAL);
        assert_eq!(hex::encode(entry(3).leaf()), LEAF);
        let large = entry((1 << 53) + 1);
        assert_eq!(hex::encode(large.leaf()), LARGE, "a number beyond 2^53 is a string");
    }

    #[test]
    fn the_second_form_covers_the_command_and_the_first_stays_as_it_was() {
        let id = CorrelationId(Uuid::from_u128(0x0189_0a5d_ac96_7ab2_80e2_4536_629c_9000));
        let entry = Entry { correlation: Some(id), ..entry(3) };
        let second = CANONICAL.replace("\"id\"", &format!("\"correlation\":\"{id}\",\"id\""));
        assert_eq!(String::from_utf8(entry.canonical()).expect("UTF-8"), second);
        assert_eq!(hex::encode(entry.in_form(FORM).leaf()), SECOND);
        assert_eq!(hex::encode(entry.in_form(1).leaf()), LEAF);
    }

    const CANONICAL: &str = r#"{"actor":"system:admission","body_hash":"fa02354bd70e0b908b245c66be4bbc6626f0e5c7dae4b4953d802d0b647b1ffb","id":"01890a5d-ac96-7ab2-80e2-4536629c90de","schema":1,"stream":"run-01890a5d-ac96-774b-bcce-b302099a8057","time":"2026-01-02T03:04:05.000600Z","type":"run.admitted","version":3}"#;
    const LEAF: &str = "b80e3dae83440ff9b63fc41562cd0ac4a3f552ea366f6e5cb0ad7a62684c64b1";
    const SECOND: &str = "e315baa6ebf8a1d688dbe2d36f4c7735a214d3dfb10fa1539369a9b478389778";
    const LARGE: &str = "fbce3e9fe2a724efa926d26923ce853a4af04380a0eeeb55dbfe285ca7aeb0b2";
}
