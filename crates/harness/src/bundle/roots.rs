use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Component, Path},
    time::SystemTime,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, mkdirat, open, openat2, symlinkat},
    io::Errno,
};

use super::{REPOSITORY, STATE};
use crate::failure::{Failure, Step};

/// Nothing is reached through a symbolic link, and nothing outside.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The two directories that things are made beneath, by their paths in the archive.
pub(super) struct Roots {
    repository: OwnedFd,
    state: OwnedFd,
}

impl Roots {
    pub(super) fn open(repository: &Path, state: &Path) -> Step<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = |dir| open(dir, flags, Mode::empty()).map_err(Failure::other);
        Ok(Self { repository: open(repository)?, state: open(state)? })
    }

    /// Makes a directory; the roots are there already.
    pub(super) fn directory(&self, path: &Path) -> Result<(), Errno> {
        let (root, below) = self.place(path)?;
        if below == Path::new(".") {
            return Ok(());
        }
        let (parent, name) = parent_of(root, below)?;
        mkdirat(parent, name, Mode::from_raw_mode(0o700))
    }

    /// Makes a file that is not there yet.
    pub(super) fn file(&self, path: &Path) -> Result<File, Errno> {
        let (root, below) = self.place(path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(root, below, flags, Mode::from_raw_mode(0o600), BENEATH).map(File::from)
    }

    /// Makes a symbolic link where nothing is yet.
    pub(super) fn link(
        &self,
        path: &Path,
        target: &Path,
        modified: SystemTime,
    ) -> Result<(), Errno> {
        let (root, below) = self.place(path)?;
        let (parent, name) = parent_of(root, below)?;
        symlinkat(target, &parent, name)?;
        let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Gives a directory its mode and time, once nothing more is made in it.
    pub(super) fn settle(
        &self,
        path: &Path,
        mode: Mode,
        modified: SystemTime,
    ) -> std::io::Result<()> {
        let (root, below) = self.place(path)?;
        let dir = open_beneath(root, below)?;
        rustix::fs::fchmod(&dir, mode)?;
        File::from(dir).set_modified(modified)
    }

    fn place<'a>(&self, path: &'a Path) -> Result<(&OwnedFd, &'a Path), Errno> {
        let mut parts = path.components();
        let root = match parts.next() {
            Some(Component::Normal(name)) if name == REPOSITORY => &self.repository,
            Some(Component::Normal(name)) if name == STATE => &self.state,
            _ => return Err(Errno::XDEV),
        };
        let below = parts.as_path();
        Ok((root, if below.as_os_str().is_empty() { Path::new(".") } else { below }))
    }
}

fn open_beneath(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    openat2(root, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), BENEATH)
}

fn parent_of<'a>(root: &OwnedFd, path: &'a Path) -> Result<(OwnedFd, &'a Path), Errno> {
    let name = path.file_name().map(Path::new).ok_or(Errno::EXIST)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((open_beneath(root, parent.unwrap_or(Path::new(".")))?, name))
}
