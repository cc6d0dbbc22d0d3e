use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{CREDENTIALS, REPOSITORY};
use crate::{config::Config, failure::Step, git::Git};

/// An ignored file above this is left out.
const MAX_IGNORED_FILE: u64 = 64 * 1024 * 1024;
/// Ignored files beyond this sum are left out.
const MAX_IGNORED_SUM: u64 = 512 * 1024 * 1024;

/// What to keep of a directory, by path in the archive; a directory comes before what is in it.
#[derive(Default)]
pub(super) struct List {
    pub(super) directories_and_files: Vec<PathBuf>,
    pub(super) links: Vec<PathBuf>,
    /// Relative to the repository.
    pub(super) left_out: Vec<PathBuf>,
}

/// What git says of the repository's files.
#[derive(Default)]
pub(super) struct Known {
    /// Ignored files, and ignored repositories inside the repository, relative to it.
    ignored: HashSet<PathBuf>,
    /// Tracked files whose names are those of credentials.
    tracked: HashSet<PathBuf>,
}

impl Known {
    pub(super) async fn ask(config: &Config) -> Step<Self> {
        let git = Git::new(config).env("GIT_OPTIONAL_LOCKS", "0").at_most(u64::from(u32::MAX));
        let ignored = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z"];
        let ignored = paths(&git.output(&ignored).await?);
        let names = CREDENTIALS.map(|name| format!(":(glob)**/{name}"));
        let mut tracked = vec!["--no-literal-pathspecs", "ls-files", "-z", "--"];
        tracked.extend(names.iter().map(String::as_str));
        let tracked = paths(&git.output(&tracked).await?);
        Ok(Self { ignored, tracked })
    }
}

fn paths(listed: &[u8]) -> HashSet<PathBuf> {
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        // A repository inside ends in a slash.
        .map(|name| name.strip_suffix(b"/").unwrap_or(name))
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect()
}

impl List {
    /// Lists the repository's directory.
    pub(super) fn repository(&mut self, root: &Path, known: &Known) {
        let mut walk = Walk { known, ignored_sum: 0, list: self };
        walk.directory(root, Path::new(REPOSITORY), false);
    }

    /// Lists a directory of which everything is kept.
    pub(super) fn everything(&mut self, root: &Path, name: &Path) {
        let known = Known::default();
        let mut walk = Walk { known: &known, ignored_sum: 0, list: self };
        walk.directory(root, name, false);
    }
}

struct Walk<'a> {
    known: &'a Known,
    ignored_sum: u64,
    list: &'a mut List,
}

impl Walk<'_> {
    fn directory(&mut self, from: &Path, name: &Path, ignored: bool) {
        let Ok(entries) = fs::read_dir(from) else {
            self.leave_out(name);
            return;
        };
        self.list.directories_and_files.push(name.to_owned());
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort_unstable();
        for entry in names {
            let (from, name) = (from.join(&entry), name.join(&entry));
            // On its way out already.
            let Ok(about) = from.symlink_metadata() else { continue };
            let ignored = ignored || self.known.ignored.contains(below(&name));
            if about.is_dir() {
                self.directory(&from, &name, ignored);
            } else if about.is_symlink() {
                self.list.links.push(name);
            } else if !about.is_file() || is_lock(&name) {
                // Nothing that could be kept: a socket, a pipe, a lock that nobody will hold.
            } else if self.is_credential(&name) || ignored && !self.fits(about.size()) {
                self.leave_out(&name);
            } else {
                self.list.directories_and_files.push(name);
            }
        }
    }

    fn fits(&mut self, size: u64) -> bool {
        let fits = size <= MAX_IGNORED_FILE && self.ignored_sum + size <= MAX_IGNORED_SUM;
        if fits {
            self.ignored_sum += size;
        }
        fits
    }

    fn is_credential(&self, name: &Path) -> bool {
        let named = name.file_name().and_then(OsStr::to_str);
        named.is_some_and(|named| CREDENTIALS.contains(&named))
            && !self.known.tracked.contains(below(name))
    }

    fn leave_out(&mut self, name: &Path) {
        self.list.left_out.push(below(name).to_owned());
    }
}

/// The path in the repository, of one in the archive.
fn below(name: &Path) -> &Path {
    name.strip_prefix(REPOSITORY).unwrap_or(name)
}

/// Whether it is a lock in git's own directory, where nothing else may end so.
fn is_lock(name: &Path) -> bool {
    let mut parts = name.components().map(std::path::Component::as_os_str);
    name.extension() == Some(OsStr::new("lock"))
        && (parts.any(|part| part == ".git") || name.starts_with("opencode/snapshot"))
}
