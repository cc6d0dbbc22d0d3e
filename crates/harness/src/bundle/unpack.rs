//! Restoring: everything in the archive is hostile. Nothing is written but beneath two roots, nothing is
//! ever written through a symbolic link, and links are made last.

use std::{
    ffi::OsString,
    io::{Read, Write as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::Mode;
use tar::EntryType;

use super::{MANIFEST, limits::Limits, manifest::Manifest, roots::Roots};
use crate::failure::{Failure, Step};

/// Only these bits of a mode are kept: no set-id, no sticky.
const MODE_BITS: u32 = 0o777;
/// No path is deeper.
const MAX_DEPTH: usize = 200;

/// Unpacks an archive below the two roots, which are there and empty.
pub(super) fn unpack(
    reader: impl Read,
    repository: &Path,
    state: &Path,
    limits: Limits,
) -> Step<Manifest> {
    let mut decoder = zstd::Decoder::new(reader).map_err(Failure::bad_bundle)?;
    decoder.window_log_max(Limits::WINDOW_LOG).map_err(Failure::bad_bundle)?;
    let bounded = Bounded { reader: decoder, left: limits.bytes };
    let mut archive = tar::Archive::new(bounded);
    // Raw: entries that change the meaning of the next are read here, within limits, or refused.
    let mut entries = archive.entries().map_err(Failure::bad_bundle)?.raw(true);
    let first = entries.next().ok_or_else(|| Failure::bad_bundle("the bundle is empty"))?;
    let manifest = read_manifest(first.map_err(Failure::bad_bundle)?)?;
    let mut unpacked = Unpacked {
        roots: Roots::open(repository, state)?,
        limits,
        name: None,
        target: None,
        links: vec![],
        directories: vec![],
        count: 0,
    };
    for entry in entries {
        unpacked.take(entry.map_err(Failure::bad_bundle)?)?;
    }
    unpacked.finish()?;
    // To the end, where the checksum is: a bundle that was cut short or changed is none.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(Failure::bad_bundle)?;
    Ok(manifest)
}

fn read_manifest(entry: tar::Entry<'_, impl Read>) -> Step<Manifest> {
    if &*entry.path_bytes() != MANIFEST.as_bytes() || entry.size() > Limits::MANIFEST {
        return Err(Failure::bad_bundle("the bundle does not begin with its manifest"));
    }
    let manifest: Manifest = serde_json::from_reader(entry).map_err(Failure::bad_bundle)?;
    if manifest.version == 1 {
        Ok(manifest)
    } else {
        Err(Failure::bad_bundle(format!("the bundle has version {}, not 1", manifest.version)))
    }
}

/// More than its limit is an error, not an end.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| std::io::Error::other("the bundle unpacks to more than is allowed"))?;
        Ok(read)
    }
}

struct Unpacked {
    roots: Roots,
    limits: Limits,
    /// What the entry before said of this one.
    name: Option<PathBuf>,
    target: Option<PathBuf>,
    /// What is made last.
    links: Vec<(PathBuf, PathBuf, SystemTime)>,
    directories: Vec<(PathBuf, Mode, SystemTime)>,
    count: u64,
}

impl Unpacked {
    fn take(&mut self, entry: tar::Entry<'_, impl Read>) -> Step<()> {
        self.count += 1;
        if self.count > self.limits.entries {
            return Err(Failure::bad_bundle("the bundle has too many entries"));
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                self.name = Some(long(entry)?);
                Ok(())
            }
            EntryType::GNULongLink => {
                self.target = Some(long(entry)?);
                Ok(())
            }
            kind => self.make(kind, entry),
        }
    }

    fn make(&mut self, kind: EntryType, mut entry: tar::Entry<'_, impl Read>) -> Step<()> {
        let short = || PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned()));
        let path = self.name.take().unwrap_or_else(short);
        let target = self.target.take();
        check(&path)?;
        let mode = entry.header().mode().map_err(Failure::bad_bundle)? & MODE_BITS;
        let mode = Mode::from_raw_mode(mode);
        let modified = entry.header().mtime().map_err(Failure::bad_bundle)?;
        let modified = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(modified))
            .ok_or_else(|| refused(&path, "is of no time"))?;
        match kind {
            EntryType::Directory => {
                self.roots.directory(&path).map_err(|errno| refused(&path, errno))?;
                self.directories.push((path, mode, modified));
            }
            EntryType::Regular => {
                if entry.size() > self.limits.file {
                    return Err(refused(&path, "is larger than is allowed"));
                }
                let mut file = self.roots.file(&path).map_err(|errno| refused(&path, errno))?;
                std::io::copy(&mut entry, &mut file).map_err(|error| refused(&path, error))?;
                file.flush()?;
                rustix::fs::fchmod(&file, mode).map_err(Failure::other)?;
                file.set_modified(modified)?;
            }
            EntryType::Symlink => {
                let short = entry.link_name_bytes();
                let short = short.map(|name| PathBuf::from(OsString::from_vec(name.into_owned())));
                let target = target.or(short).filter(|target| !target.as_os_str().is_empty());
                let target = target.ok_or_else(|| refused(&path, "is a link to nothing"))?;
                self.links.push((path, target, modified));
            }
            _ => return Err(refused(&path, "is neither a file, a directory nor a symbolic link")),
        }
        Ok(())
    }

    /// Makes the links, then gives the directories their modes and times, the innermost first.
    fn finish(mut self) -> Step<()> {
        for (path, target, modified) in &self.links {
            self.roots.link(path, target, *modified).map_err(|errno| refused(path, errno))?;
        }
        self.directories.sort_by_key(|(path, ..)| std::cmp::Reverse(path.components().count()));
        for (path, mode, modified) in &self.directories {
            self.roots.settle(path, *mode, *modified).map_err(|error| refused(path, error))?;
        }
        Ok(())
    }
}

/// The whole of a name that did not fit its header.
fn long(mut entry: tar::Entry<'_, impl Read>) -> Step<PathBuf> {
    if entry.size() > Limits::NAME {
        return Err(Failure::bad_bundle("the bundle holds a name that is too long"));
    }
    let mut name = Vec::new();
    entry.read_to_end(&mut name).map_err(Failure::bad_bundle)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    if name.contains(&0) {
        return Err(Failure::bad_bundle("the bundle holds a name with a zero byte"));
    }
    Ok(PathBuf::from(OsString::from_vec(name)))
}

fn check(path: &Path) -> Step<()> {
    let bytes = path.as_os_str().as_bytes();
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || bytes.is_empty() || bytes.contains(&0) || path.components().count() > MAX_DEPTH {
        return Err(refused(path, "is not a plain relative path"));
    }
    Ok(())
}

fn refused(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::bad_bundle(format!("{} {why}", path.display()))
}
