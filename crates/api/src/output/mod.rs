//! What agents put out: stored item by item under the number that the link gave it, read from any
//! number, and folded into the agent's own message list again.

mod cut;
mod doing;
mod index;
mod key;
mod page;
mod read;
mod store;
mod wake;

pub(crate) use cut::{Assembled, Cut};
pub(crate) use doing::doing;
pub(crate) use page::{Before, Page, Whole};
pub use read::Stored;
pub use store::Outputs;
pub use wake::Subscription;
