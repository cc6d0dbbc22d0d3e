//! Loading and appending.
//!
//! **An expected version is a value, never a number.** The table's `unique (stream, version)` settles
//! races between two appends of the same version, but would let a version that is too high leave a gap.
//! So [`append`](append::append) takes a [`LoadedVersion`], which only [`load`](load::load) (of committed
//! events) and `append` (once it is committed) give out. What may see uncommitted events of its own
//! transaction stays inside this crate.

pub mod append;
pub(crate) mod key;
pub mod load;
pub(crate) mod text;

pub use append::{Append, AppendError, append};
pub use load::{Loaded, LoadedVersion, load};
