//! The leaf of each log position: an RFC 6962 leaf hash over the RFC 8785 form of the event's
//! metadata, from which the audit tree is built.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ids::EventId;

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
}

/// An RFC 6962 leaf hash.
pub type LeafHash = [u8; 32];

impl Entry<'_> {
    /// The RFC 8785 form: `{actor, body_hash, id, schema, stream, time, type, version}`, the time as
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
