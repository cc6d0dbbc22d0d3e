//! What agents put out: stored item by item under the number that the link gave it, read from any
//! number, and folded into the agent's own message list again.

mod read;
mod store;
mod wake;

pub use read::{Stored, digest_of};
pub use store::Outputs;
pub use wake::Subscription;
