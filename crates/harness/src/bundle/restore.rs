//! Restoring: everything in the archive is hostile. Nothing is written but beneath two roots, nothing is
//! ever written through a symbolic link, and links are made last.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use axum::body::Body;
use futures::TryStreamExt as _;
use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, symlinkat, unlinkat,
};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{MANIFEST, Manifest, REPOSITORY, STATE};
use crate::{
    failure::{Failure, Step},
    server::Config,
};

/// The most bytes that a bundle may unpack to.
const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// The most entries of a bundle.
const MAX_ENTRIES: u64 = 2_000_000;
/// The largest zstd window, as a power of two: 128 MiB.
const MAX_WINDOW_LOG: u32 = 27;
/// Only these bits of a mode are kept: no set-id, no sticky.
const MODE_BITS: u32 = 0o777;

/// Restores a bundle in place of whatever is there.
pub(crate) async fn restore(config: &Config, body: Body) -> Step<()> {
    let stream = body.into_data_stream().map_err(std::io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let (repository, state) = (config.repository(), config.state());
    let work = move || {
        for dir in [&repository, &state] {
            if dir.exists() {
                std::fs::remove_dir_all(dir)?;
            }
            std::fs::create_dir_all(dir)?;
        }
        unpack(reader, &repository, &state)
    };
    tokio::task::spawn_blocking(work).await.map_err(Failure::other)?
}

/// Unpacks an archive below the two roots, which are there and empty.
pub(super) fn unpack(reader: impl Read, repository: &Path, state: &Path) -> Step<()> {
    let mut decoder = zstd::Decoder::new(reader).map_err(Failure::bad_bundle)?;
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(Failure::bad_bundle)?;
    let mut archive = tar::Archive::new(decoder.take(MAX_BYTES));
    let mut roots = Roots::open(repository, state)?;
    let mut entries = archive.entries().map_err(Failure::bad_bundle)?;
    let first = entries.next().ok_or_else(|| Failure::bad_bundle("the bundle is empty"))?;
    read_manifest(first.map_err(Failure::bad_bundle)?)?;
    for (count, entry) in (1..).zip(entries) {
        if count > MAX_ENTRIES {
            return Err(Failure::bad_bundle("the bundle has too many entries"));
        }
        roots.make(entry.map_err(Failure::bad_bundle)?)?;
    }
    roots.finish()
}

fn read_manifest(entry: tar::Entry<'_, impl Read>) -> Step<()> {
    if entry.path().map_err(Failure::bad_bundle)? != Path::new(MANIFEST) {
        return Err(Failure::bad_bundle("the bundle does not begin with its manifest"));
    }
    let manifest: Manifest =
        serde_json::from_reader(entry.take(1024 * 1024)).map_err(Failure::bad_bundle)?;
    if manifest.version == 1 {
        Ok(())
    } else {
        Err(Failure::bad_bundle(format!("the bundle has version {}, not 1", manifest.version)))
    }
}

/// The two directories that things are made beneath.
struct Roots {
    repository: OwnedFd,
    state: OwnedFd,
    seen: HashSet<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    directories: Vec<(PathBuf, u32, SystemTime)>,
}

impl Roots {
    fn open(repository: &Path, state: &Path) -> Step<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = |dir| open(dir, flags, Mode::empty()).map_err(Failure::other);
        Ok(Self {
            repository: open(repository)?,
            state: open(state)?,
            seen: HashSet::new(),
            links: vec![],
            directories: vec![],
        })
    }

    fn make(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Step<()> {
        let path = checked(&entry)?;
        if !self.seen.insert(path.clone()) {
            return Err(refused(&path, "is there twice"));
        }
        let mode = entry.header().mode().map_err(Failure::bad_bundle)? & MODE_BITS;
        let modified = SystemTime::UNIX_EPOCH
            + Duration::from_secs(entry.header().mtime().map_err(Failure::bad_bundle)?);
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                if path.components().count() > 1 {
                    let (root, below) = self.place(&path)?;
                    mkdir_beneath(root, below)
                        .map_err(|error| refused(&path, &error.to_string()))?;
                }
                self.directories.push((path, mode, modified));
                Ok(())
            }
            tar::EntryType::Regular => {
                let (root, below) = self.place(&path)?;
                let mut file = create_beneath(root, below, mode)
                    .map_err(|error| refused(&path, &error.to_string()))?;
                std::io::copy(&mut entry, &mut file).map_err(Failure::bad_bundle)?;
                file.flush()?;
                file.set_modified(modified)?;
                Ok(())
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name().map_err(Failure::bad_bundle)?;
                let target =
                    target.ok_or_else(|| refused(&path, "is a link to nothing"))?.into_owned();
                self.links.push((path, target));
                Ok(())
            }
            _ => Err(refused(&path, "is neither a file, a directory nor a symbolic link")),
        }
    }

    /// Makes the links, then gives the directories their modes and times, the innermost first.
    fn finish(mut self) -> Step<()> {
        for (path, target) in std::mem::take(&mut self.links) {
            let (root, below) = self.place(&path)?;
            link_beneath(root, below, &target)
                .map_err(|error| refused(&path, &error.to_string()))?;
        }
        self.directories.sort_by_key(|(path, ..)| std::cmp::Reverse(path.components().count()));
        for (path, mode, modified) in &self.directories {
            let (root, below) = self.place(path)?;
            let dir =
                open_beneath(root, below).map_err(|error| refused(path, &error.to_string()))?;
            let dir = File::from(dir);
            // A directory that its owner cannot enter would be lost to the agent.
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode | 0o700)).map_err(Failure::other)?;
            dir.set_modified(*modified)?;
        }
        Ok(())
    }

    fn place<'a>(&self, path: &'a Path) -> Step<(&OwnedFd, &'a Path)> {
        let mut parts = path.components();
        let root = match parts.next() {
            Some(Component::Normal(name)) if name == REPOSITORY => &self.repository,
            Some(Component::Normal(name)) if name == STATE => &self.state,
            _ => return Err(refused(path, "is in neither part of a bundle")),
        };
        let below = parts.as_path();
        Ok((root, if below.as_os_str().is_empty() { Path::new(".") } else { below }))
    }
}

fn checked(entry: &tar::Entry<'_, impl Read>) -> Step<PathBuf> {
    let path = entry.path().map_err(Failure::bad_bundle)?.into_owned();
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.as_os_str().as_bytes().contains(&0) || path.components().count() > 200 {
        return Err(refused(&path, "is not a plain relative path"));
    }
    Ok(path)
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::bad_bundle(format!("{} {why}", path.display()))
}

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

fn open_beneath(root: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), BENEATH)
}

fn parent_of<'a>(root: &OwnedFd, path: &'a Path) -> rustix::io::Result<(OwnedFd, &'a Path)> {
    let name = path.file_name().map(Path::new).ok_or(rustix::io::Errno::INVAL)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((open_beneath(root, parent.unwrap_or(Path::new(".")))?, name))
}

fn mkdir_beneath(root: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    let (parent, name) = parent_of(root, path)?;
    mkdirat(parent, name, Mode::from_raw_mode(0o700))
}

fn create_beneath(root: &OwnedFd, path: &Path, mode: u32) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat2(root, path, flags, Mode::from_raw_mode(0o600), BENEATH)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    Ok(File::from(file))
}

fn link_beneath(root: &OwnedFd, path: &Path, target: &Path) -> rustix::io::Result<()> {
    let (parent, name) = parent_of(root, path)?;
    let _ = unlinkat(&parent, name, AtFlags::empty());
    symlinkat(target, parent, name)
}
