use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use domain::{
    ids::{MessageId, TextId},
    text::SealedText,
};
use uuid::Uuid;

/// What time it is. Passed in, so that tests decide it.
pub trait Clock: Send + Sync {
    /// Now, truncated to microseconds: what PostgreSQL keeps, and what leaves commit to.
    fn now(&self) -> DateTime<Utc>;
}

/// Where ids and secrets come from. Passed in, so that tests decide them.
pub trait Entropy: Send + Sync {
    /// A new id; UUID version 7, so that indexes on ids grow at one end.
    fn id(&self) -> Uuid;
    /// Fills `out` with random bytes fit for secrets.
    fn bytes(&self, out: &mut [u8]);
}

/// The clock and the randomness that commands are handled with.
#[derive(Clone)]
pub struct Context {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Context {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }

    /// Now, truncated to microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }

    /// A new id.
    pub fn id(&self) -> Uuid {
        self.entropy.id()
    }

    /// Seals a text under a new id and a new salt.
    pub fn seal(&self, text: String) -> SealedText {
        let mut salt = [0; 16];
        self.entropy.bytes(&mut salt);
        SealedText::seal(TextId(self.id()), salt, text)
    }

    /// A new id of a message to the agent.
    pub fn message_id(&self) -> MessageId {
        let mut random = [0; 16];
        self.entropy.bytes(&mut random);
        MessageId::new(self.now(), Uuid::from_bytes(random))
    }

    /// Thirty-two random bytes: a bearer token.
    pub fn token(&self) -> [u8; 32] {
        let mut token = [0; 32];
        self.entropy.bytes(&mut token);
        token
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn bytes(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}
