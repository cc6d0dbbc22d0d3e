use std::{
    fs::{File, Metadata},
    io::{Read as _, Write},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use tar::{EntryType, Header};

use super::{MANIFEST, manifest::Manifest};
use crate::failure::{Failure, Step};

/// The longest name that a header holds; a longer one stands in an entry of its own before it.
const SHORT: usize = 100;
const BLOCK: usize = 512;

/// Writes an archive of plain entries: directories, files, symbolic links.
pub(super) struct Archive<W>(W);

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W) -> Self {
        Self(to)
    }

    pub(super) fn manifest(&mut self, manifest: &Manifest) -> Step<()> {
        let bytes = serde_json::to_vec(manifest).map_err(Failure::other)?;
        let header = header(EntryType::Regular, 0o644, 0, bytes.len() as u64);
        self.entry(header, Path::new(MANIFEST), None)?;
        self.0.write_all(&bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Adds a directory or a regular file as it is now. What cannot be read is answered, not added.
    pub(super) fn file(&mut self, from: &Path, name: &Path) -> Step<Added> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).map_err(Failure::other)?;
        let opened = File::options().read(true).custom_flags(flags).open(from);
        let Ok(file) = opened else { return Ok(Added::Unreadable) };
        let about = file.metadata()?;
        if about.is_dir() {
            self.entry(of(&about, EntryType::Directory, 0), name, None)?;
        } else if about.is_file() {
            let size = about.size();
            self.entry(of(&about, EntryType::Regular, size), name, None)?;
            let copied = std::io::copy(&mut file.take(size), &mut self.0)?;
            // One that became shorter meanwhile.
            std::io::copy(&mut std::io::repeat(0).take(size - copied), &mut self.0)?;
            self.pad(size)?;
        } else {
            return Ok(Added::Unreadable);
        }
        Ok(Added::Whole)
    }

    /// Adds a symbolic link as it is.
    pub(super) fn link(&mut self, from: &Path, name: &Path) -> Step<Added> {
        let (Ok(about), Ok(target)) = (from.symlink_metadata(), from.read_link()) else {
            return Ok(Added::Unreadable);
        };
        self.entry(of(&about, EntryType::Symlink, 0), name, Some(&target))?;
        Ok(Added::Whole)
    }

    /// Copies entries that another archive wrote.
    pub(super) fn append(&mut self, mut entries: impl std::io::Read) -> Step<()> {
        std::io::copy(&mut entries, &mut self.0)?;
        Ok(())
    }

    /// Marks the end.
    pub(super) fn end(mut self) -> Step<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()?;
        Ok(self.0)
    }

    /// The writer, without an end: entries for another archive.
    pub(super) fn into_inner(mut self) -> Step<W> {
        self.0.flush()?;
        Ok(self.0)
    }

    fn entry(&mut self, mut header: Header, name: &Path, target: Option<&PathBuf>) -> Step<()> {
        let name = name.as_os_str().as_bytes();
        self.long(EntryType::GNULongName, name)?;
        let target = target.map_or(&[][..], |target| target.as_os_str().as_bytes());
        self.long(EntryType::GNULongLink, target)?;
        let gnu = header.as_gnu_mut().ok_or_else(|| Failure::other("not a GNU header"))?;
        put(&mut gnu.name, name);
        put(&mut gnu.linkname, target);
        header.set_cksum();
        self.0.write_all(header.as_bytes())?;
        Ok(())
    }

    /// The entry before one whose name or target does not fit its header.
    fn long(&mut self, kind: EntryType, bytes: &[u8]) -> Step<()> {
        if bytes.len() <= SHORT {
            return Ok(());
        }
        let size = bytes.len() as u64 + 1;
        let mut header = header(kind, 0o644, 0, size);
        let gnu = header.as_gnu_mut().ok_or_else(|| Failure::other("not a GNU header"))?;
        put(&mut gnu.name, b"././@LongLink");
        header.set_cksum();
        self.0.write_all(header.as_bytes())?;
        self.0.write_all(bytes)?;
        self.0.write_all(&[0])?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Step<()> {
        let beyond = usize::try_from(size % BLOCK as u64).map_err(Failure::other)?;
        if beyond > 0 {
            self.0.write_all(&[0; BLOCK][beyond..])?;
        }
        Ok(())
    }
}

/// What came of adding something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Whole,
    Unreadable,
}

fn of(about: &Metadata, kind: EntryType, size: u64) -> Header {
    header(kind, about.mode() & 0o777, u64::try_from(about.mtime()).unwrap_or(0), size)
}

fn header(kind: EntryType, mode: u32, modified: u64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(modified);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn put(field: &mut [u8; SHORT], bytes: &[u8]) {
    let fits = bytes.len().min(SHORT);
    field[..fits].copy_from_slice(&bytes[..fits]);
}
