//! Bundles: the repository's directory and OpenCode's state, as one compressed tar archive.
//!
//! `manifest.json` comes first, then `repo/…`, then `opencode/…`, symbolic links last. What a bundle may
//! hold is narrow: regular files, directories and symbolic links, at relative paths without `..`.
//!
//! Not in a bundle: OpenCode's credentials, logs, configuration and caches; sockets, pipes and devices;
//! locks of git commands that no longer run; ignored files that are too large; and files that git does not
//! track whose name says that they hold a credential ([`CREDENTIALS`]).

mod archive;
mod limits;
mod list;
mod manifest;
mod restore;
mod roots;
mod snapshot;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use self::{
    restore::{clear, restore},
    snapshot::{Bundle, snapshot},
};

/// The archive's first entry.
const MANIFEST: &str = "manifest.json";
/// Where the repository is in the archive.
const REPOSITORY: &str = "repo";
/// Where OpenCode's state is in the archive.
const STATE: &str = "opencode";
/// What of OpenCode's state is kept, beside the database.
const STATE_DIRS: [&str; 2] = ["snapshot", "tool-output"];
/// OpenCode's database.
const DATABASE: &str = "opencode.db";
/// Names of files that are left out of the repository's directory where git does not track them. A tracked
/// one is no secret: it is on the forge. `.env` is none of them: projects need theirs to work.
const CREDENTIALS: [&str; 7] =
    [".git-credentials", ".netrc", "_netrc", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];
