use domain::{event::Actor, ids::StreamVersion, stream::StreamId, text::SealedText};
use uuid::Uuid;

/// Who asks for a command, and how.
#[derive(Clone, Debug)]
pub struct Caused {
    /// Who.
    pub actor: Actor,
    /// The id of the request, for the audit trail; empty where there was none.
    pub request: String,
    /// The caller's idempotency key, if it gave one.
    pub idempotency: Option<Idempotency>,
    /// The version that the caller believes the stream is at, if it said so.
    pub if_match: Option<StreamVersion>,
    /// The texts that the command refers to; stored with the events that refer to them.
    pub texts: Vec<SealedText>,
}

impl Caused {
    /// By `actor`, without idempotency key, `If-Match` or texts.
    #[must_use]
    pub fn by(actor: Actor) -> Self {
        Self { actor, request: String::new(), idempotency: None, if_match: None, texts: vec![] }
    }
}

/// An idempotency key, in the scope of its actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: String,
    /// SHA-256 of the request: the same key with another fingerprint is refused.
    pub fingerprint: [u8; 32],
}

/// The answer to a command that was carried out, now or the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The stream it is about.
    pub stream: StreamId,
    /// The version of that stream's newest event afterwards. It has no position yet.
    pub version: StreamVersion,
    /// Whether this is the first answer to the same idempotency key, given again.
    pub replayed: bool,
    /// The id of what it is about: for a replayed create, the one that the first request made.
    pub target: Uuid,
}
