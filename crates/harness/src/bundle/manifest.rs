use serde::{Deserialize, Serialize};

/// What a bundle says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The form's version: 1.
    pub(super) version: u32,
    /// The repository's HEAD commit.
    pub(crate) git_head: String,
    /// Paths that were left out, at most 1,000.
    pub(super) left_out: Vec<String>,
}
