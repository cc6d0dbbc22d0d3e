//! The bundle store: content-addressed, uploaded in ranges that can be resumed, visible only once whole
//! and with the right digest.

mod error;
pub(crate) mod router;
mod store;
mod upload;

pub use error::BundleError;
pub use store::{Bundles, Content, Kept, Superseded, Uploader};
pub use upload::Progress;
