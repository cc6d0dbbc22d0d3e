//! Bundles: the repository's directory and OpenCode's state, as one compressed tar archive.
//!
//! `manifest.json` comes first, then `repo/…`, then `opencode/…`, symbolic links last. What a bundle may
//! hold is narrow: regular files, directories and symbolic links, at relative paths without `..`.

mod copy;
mod restore;
mod snapshot;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    restore::restore,
    snapshot::{Bundle, snapshot},
};

/// The archive's first entry.
const MANIFEST: &str = "manifest.json";
/// Where the repository is in the archive.
const REPOSITORY: &str = "repo";
/// Where OpenCode's state is in the archive.
const STATE: &str = "opencode";
/// What of OpenCode's state is kept, beside the database: no credentials, no logs, no caches.
const STATE_DIRS: [&str; 2] = ["snapshot", "tool-output"];
/// OpenCode's database.
const DATABASE: &str = "opencode.db";

/// What a bundle says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// The form's version: 1.
    version: u32,
    /// The repository's HEAD commit.
    git_head: String,
    /// Paths that were left out.
    left_out: Vec<String>,
}
