//! Where things are: the addresses that server and client agree upon.

use chrono::{DateTime, Utc};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

/// Below this each object, by its own path.
pub(crate) const OBJECTS: &str = "/objects";
/// Below this the uploads that come in parts.
pub(crate) const UPLOADS: &str = "/uploads";
/// How much room there is.
pub(crate) const SPACE: &str = "/space";
/// When an object was last changed, to the microsecond.
pub(crate) const CHANGED_AT: &str = "changed-at";

/// An object, as a line of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    path: String,
    size: u64,
    changed_at: DateTime<Utc>,
    etag: Option<String>,
}

impl From<ObjectMeta> for Listed {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            path: meta.location.into(),
            size: meta.size,
            changed_at: meta.last_modified,
            etag: meta.e_tag,
        }
    }
}

impl TryFrom<Listed> for ObjectMeta {
    type Error = object_store::path::Error;

    fn try_from(listed: Listed) -> Result<Self, Self::Error> {
        Ok(Self {
            location: Path::parse(listed.path)?,
            last_modified: listed.changed_at,
            size: listed.size,
            e_tag: listed.etag,
            version: None,
        })
    }
}

/// An upload that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) id: String,
}

/// What a whole upload is, by whoever sent it: the SHA-256 of each part, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    pub(crate) parts: Vec<String>,
}
