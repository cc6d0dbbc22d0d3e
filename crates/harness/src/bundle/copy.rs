use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::failure::Step;

/// Copies a directory with its modes, times and symbolic links as they are; sockets, pipes and devices are
/// left out, and what `left_out` names by its path below `from`.
pub(super) fn copy_tree(from: &Path, to: &Path, left_out: &HashSet<PathBuf>) -> Step<()> {
    copy_dir(from, to, Path::new(""), left_out)
}

fn copy_dir(from: &Path, to: &Path, below: &Path, left_out: &HashSet<PathBuf>) -> Step<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let path = below.join(entry.file_name());
        if left_out.contains(&path) {
            continue;
        }
        let about = match entry.metadata() {
            Ok(about) => about,
            // The agent's own processes stand still, but a file may be on its way out already.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if about.is_dir() {
            copy_dir(&source, &target, &path, left_out)?;
        } else if about.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if about.is_file() {
            fs::copy(&source, &target)?;
            fs::File::open(&target)?.set_modified(modified(&about))?;
        }
    }
    let about = fs::metadata(from)?;
    fs::set_permissions(to, about.permissions())?;
    fs::File::open(to)?.set_modified(modified(&about))?;
    Ok(())
}

fn modified(about: &fs::Metadata) -> SystemTime {
    let seconds = u64::try_from(about.mtime()).unwrap_or(0);
    let nanos = u32::try_from(about.mtime_nsec()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}
