//! The keys that checkpoints are signed with, in the text forms of signed notes.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signed_note::{Signer as _, StandardSigner, StandardVerifier, Verifier as _};

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not a verifying key.
    #[error("a verifying key is <name>+<8 hexadecimal digits>+<base64>, all in one line")]
    NotVerifying,
    /// It is not a signing key.
    #[error("a signing key is PRIVATE+KEY+<name>+<8 hexadecimal digits>+<base64>, all in one line")]
    NotSigning,
    /// The name cannot be that of a key.
    #[error("a log's name has 1 to 200 visible characters, none of them a space or a plus")]
    Name,
}

/// What signatures are verified with: public, `<name>+<id>+<base64>`. The name is that of the log.
#[derive(Clone)]
pub struct VerifyingKey {
    text: String,
    verifier: StandardVerifier,
}

impl VerifyingKey {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let verifier = StandardVerifier::new(text).map_err(|_| KeyError::NotVerifying)?;
        // Base64 and digits have one form here, so that a key is equal to itself alone.
        // Base64 has plus signs too: name and id have none.
        let mut parts = text.splitn(3, '+').skip(1);
        let (Some(id), Some(key)) = (parts.next(), parts.next()) else {
            return Err(KeyError::NotVerifying);
        };
        let lower = *id == id.to_ascii_lowercase();
        let canonical =
            BASE64_STANDARD.decode(key).is_ok_and(|it| BASE64_STANDARD.encode(it) == key);
        if !lower || !canonical || !named(verifier.name()) {
            return Err(KeyError::NotVerifying);
        }
        Ok(Self { text: text.to_owned(), verifier })
    }

    /// The name of the log that it is of.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// Its text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a signature says that it is of this key.
    pub(crate) fn made(&self, signature: &signed_note::Signature) -> bool {
        signature.name() == self.verifier.name() && signature.id() == self.verifier.key_id()
    }

    /// Whether a signature is this key's, over `text`.
    pub(crate) fn verifies(&self, text: &[u8], signature: &signed_note::Signature) -> bool {
        self.made(signature) && self.verifier.verify(text, signature.signature())
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for VerifyingKey {}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.text)
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// What checkpoints are signed with: secret, `PRIVATE+KEY+<name>+<id>+<base64>`.
#[derive(Clone)]
pub struct SigningKey {
    signer: StandardSigner,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let signer = StandardSigner::new(text).map_err(|_| KeyError::NotSigning)?;
        let key = text.splitn(5, '+').nth(4);
        let bytes = key.and_then(|key| BASE64_STANDARD.decode(key).ok());
        let seed = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.get(1..)?).ok());
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed.ok_or(KeyError::NotSigning)?);
        let verifying =
            signed_note::new_ed25519_verifier_key(signer.name(), &secret.verifying_key());
        Ok(Self { verifying: VerifyingKey::parse(&verifying)?, signer })
    }

    /// The text form of the key of a log of that name, made of 32 random bytes.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<String, KeyError> {
        if !named(name) {
            return Err(KeyError::Name);
        }
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let verifying = signed_note::new_ed25519_verifier_key(name, &key.verifying_key());
        // `<name>+<id>+…`, of which the id is the same.
        let rest = verifying.strip_prefix(name).ok_or(KeyError::Name)?;
        let id = rest.trim_start_matches('+').split('+').next().unwrap_or_default();
        let secret = BASE64_STANDARD.encode([&[1], &seed[..]].concat());
        Ok(format!("PRIVATE+KEY+{name}+{id}+{secret}"))
    }

    /// The public half.
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(crate) const fn signer(&self) -> &StandardSigner {
        &self.signer
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}

fn named(name: &str) -> bool {
    let visible = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=200).contains(&name.len()) && name.chars().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_read_and_never_shown() {
        let text = SigningKey::generate("paddock.example.org/log", [7; 32]).expect("a key");
        let key = SigningKey::parse(&text).expect("as it was made");
        assert_eq!(key.verifying().name(), "paddock.example.org/log");
        assert_eq!(VerifyingKey::parse(key.verifying().as_str()).as_ref(), Ok(key.verifying()));
        let secret = text.rsplit('+').next().expect("a last part");
        assert!(!format!("{key:?}").contains(secret));
        assert_eq!(VerifyingKey::parse(&text), Err(KeyError::NotVerifying));
        // Base64 has plus signs, which part the rest.
        for seed in 0..=u8::MAX {
            let text = SigningKey::generate("log", [seed; 32]).expect("a key");
            let key = SigningKey::parse(&text).expect("as it was made");
            assert_eq!(VerifyingKey::parse(key.verifying().as_str()).as_ref(), Ok(key.verifying()));
        }
        for name in ["", "a b", "a+b", "a\nb"] {
            assert_eq!(SigningKey::generate(name, [7; 32]), Err(KeyError::Name), "{name:?}");
        }
    }

    #[test]
    fn a_key_with_another_name_or_id_is_none() {
        let text = SigningKey::generate("log", [7; 32]).expect("a key");
        let key = SigningKey::parse(&text).expect("a key").verifying().to_string();
        for wrong in
            [key.replacen("log", "gol", 1), key.to_uppercase(), key[..key.len() - 1].to_owned()]
        {
            assert_eq!(VerifyingKey::parse(&wrong), Err(KeyError::NotVerifying), "{wrong}");
        }
    }
}
