use std::{
    fs::File,
    io::{BufWriter, IntoInnerError, Seek as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::process::Pid;
use tempfile::TempDir;

use super::{
    DATABASE, REPOSITORY, STATE, STATE_DIRS,
    archive::{Added, Archive},
    list::{Known, List},
    manifest::Manifest,
};
use crate::{
    config::Config,
    failure::{Failure, Step},
    git::Git,
    processes::Still,
    wire::Snapshot,
};

/// The most paths named as left out.
const MAX_NAMED: usize = 1000;
/// zstd's own default.
const LEVEL: i32 = 3;
/// How often the database is tried when its writer was stopped in a bad moment.
const TRIES: u32 = 3;

/// A bundle that waits to be fetched; its bytes have no name and go when nobody reads them.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    /// Whether it was begun after SIGTERM.
    pub(crate) is_last: bool,
}

/// Takes a snapshot. The agent stands still only while its files are copied, uncompressed, beside them.
pub(crate) async fn snapshot(
    config: &Config,
    agent: Option<Pid>,
    is_last: bool,
) -> Step<(Snapshot, Bundle)> {
    let mut tries = 1;
    let copied = loop {
        match copy(config, agent).await {
            Err(error) if tries < TRIES => {
                tracing::info!(%error, "the copy is tried again");
                tries += 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            done => break done?,
        }
    };
    let config = config.clone();
    let compress = move || compress(&config, copied, is_last);
    tokio::task::spawn_blocking(compress).await.map_err(Failure::other)?
}

/// What was copied while the agent stood still.
struct Copied {
    manifest: Manifest,
    entries: File,
}

async fn copy(config: &Config, agent: Option<Pid>) -> Step<Copied> {
    let hold = tokio::task::spawn_blocking(move || Still::hold(agent));
    let still = hold.await.map_err(Failure::other)?;
    let git_head = Git::new(config).head().await?;
    let known = Known::ask(config).await?;
    let config = config.clone();
    let work = move || {
        let still = still;
        let copied = copy_files(&config, &known, git_head);
        drop(still);
        copied
    };
    tokio::task::spawn_blocking(work).await.map_err(Failure::other)?
}

fn copy_files(config: &Config, known: &Known, git_head: String) -> Step<Copied> {
    // On the run's own disk, and counted as its own.
    let entries = tempfile::tempfile_in(config.own()?)?;
    let mut archive = Archive::new(BufWriter::with_capacity(1 << 20, entries));
    let mut list = List::default();
    list.repository(&config.repository(), known);
    let state = config.state();
    for name in STATE_DIRS {
        if state.join(name).is_dir() {
            list.everything(&state.join(name), &Path::new(STATE).join(name));
        }
    }
    add_state(&mut archive, config)?;
    let place = |name: &Path| match name.strip_prefix(REPOSITORY) {
        Ok(below) => config.repository().join(below),
        Err(_) => state.join(name.strip_prefix(STATE).unwrap_or(name)),
    };
    let mut left_out = list.left_out;
    for name in list.directories_and_files {
        if archive.file(&place(&name), &name)? == Added::Unreadable {
            left_out.push(name.strip_prefix(REPOSITORY).unwrap_or(&name).to_owned());
        }
    }
    for name in list.links {
        archive.link(&place(&name), &name)?;
    }
    let entries = archive.into_inner()?.into_inner().map_err(IntoInnerError::into_error)?;
    left_out.sort();
    let left_out = left_out.iter().take(MAX_NAMED);
    let left_out = left_out.map(|path| path.to_string_lossy().into_owned()).collect();
    Ok(Copied { manifest: Manifest { version: 1, git_head, left_out }, entries })
}

/// Adds OpenCode's directory and its database, the write-ahead log folded in.
fn add_state(archive: &mut Archive<BufWriter<File>>, config: &Config) -> Step<()> {
    let beside = TempDir::new_in(config.own()?)?;
    archive.file(beside.path(), Path::new(STATE))?;
    let database = config.state().join(DATABASE);
    if !database.symlink_metadata().is_ok_and(|about| about.is_file()) {
        return Ok(());
    }
    let copy = beside.path().join(DATABASE);
    vacuum_into(&database, &copy).map_err(Failure::other)?;
    archive.file(&copy, &Path::new(STATE).join(DATABASE))?;
    Ok(())
}

/// A consistent copy of a live database.
fn vacuum_into(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let flags =
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(from, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute("vacuum into ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// The agent works on meanwhile.
fn compress(config: &Config, mut copied: Copied, is_last: bool) -> Step<(Snapshot, Bundle)> {
    let mut file = tempfile::tempfile_in(config.own()?)?;
    let mut encoder = zstd::Encoder::new(&mut file, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = Archive::new(encoder);
    archive.manifest(&copied.manifest)?;
    copied.entries.rewind()?;
    archive.append(&copied.entries)?;
    archive.end()?.finish()?;
    let size = file.metadata()?.len();
    let Manifest { git_head, left_out, .. } = copied.manifest;
    Ok((Snapshot { size, git_head, left_out }, Bundle { file: Arc::new(file), size, is_last }))
}
