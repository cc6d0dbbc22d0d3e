//! How long anything may take. Values of their own, so that tests need not wait as long.

use std::time::Duration;

/// How long a client may take for things that take no time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the head of a request; also how long a connection may lie idle between two.
    pub head: Duration,
    /// For the first message of a tunnel.
    pub hello: Duration,
    /// For the list of updates of a push.
    pub updates: Duration,
    /// A tunnel through which nothing went for so long, or for up to twice as long, is closed.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            hello: Duration::from_secs(15),
            updates: Duration::from_secs(30),
            idle: Duration::from_mins(5),
        }
    }
}
