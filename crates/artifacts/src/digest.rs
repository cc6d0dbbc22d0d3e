//! `Content-Digest`, as RFC 9530 writes it: what bytes are to come out as on the other side.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

/// The header.
pub(crate) const CONTENT_DIGEST: &str = "content-digest";

/// The SHA-256 of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentDigest([u8; 32]);

impl ContentDigest {
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a Bytes>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// What the header says, if it says a SHA-256.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_DIGEST)?.to_str().ok()?;
        let coded = text.strip_prefix("sha-256=:")?.strip_suffix(':')?;
        Some(Self(STANDARD.decode(coded).ok()?.try_into().ok()?))
    }

    pub(crate) fn header(self) -> String {
        format!("sha-256=:{}:", STANDARD.encode(self.0))
    }

    pub(crate) fn hex(self) -> String {
        hex::encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = ContentDigest::of([&Bytes::from_static(b"a"), &Bytes::from_static(b"bc")]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DIGEST, digest.header().parse().unwrap());
        assert_eq!(ContentDigest::read(&headers), Some(digest));
        let whole = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
        assert_eq!(digest.header(), whole, "abc's, as FIPS 180 has it");
        for other in ["md5=:AAAA:", "sha-256=:AAAA:", "sha-256=x"] {
            headers.insert(CONTENT_DIGEST, other.parse().unwrap());
            assert_eq!(ContentDigest::read(&headers), None, "{other}");
        }
    }
}
