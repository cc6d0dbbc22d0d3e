use std::{
    collections::HashSet,
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{DATABASE, MANIFEST, Manifest, REPOSITORY, STATE, STATE_DIRS, copy::copy_tree};
use crate::{
    failure::{Failure, Step},
    server::{Config, Harness},
    wire::Snapshot,
};

/// An ignored file above this is left out.
const MAX_IGNORED_FILE: u64 = 64 * 1024 * 1024;
/// Ignored files beyond this sum are left out.
const MAX_IGNORED_SUM: u64 = 512 * 1024 * 1024;
/// The most paths named as left out.
const MAX_NAMED: usize = 1000;
/// zstd's own default.
const LEVEL: i32 = 3;

/// A bundle that waits to be fetched; it goes when it is dropped.
pub(crate) struct Bundle(File);

impl Bundle {
    /// The bytes, from the start.
    pub(crate) fn open(&self) -> std::io::Result<File> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

/// Takes a snapshot. The agent stands still only while its files are copied beside them.
pub(crate) async fn snapshot(harness: &Harness) -> Step<(Snapshot, Bundle)> {
    let config = harness.config.clone();
    let agent = harness.agents.pid().await;
    tokio::task::spawn_blocking(move || take(&config, agent)).await.map_err(Failure::other)?
}

fn take(config: &Config, agent: Option<u32>) -> Step<(Snapshot, Bundle)> {
    // Beside the workspace, so that it counts as the run's own disk.
    let beside = tempfile::Builder::new().prefix(".snapshot-").tempdir_in(&config.home)?;
    let copied = {
        let _still = Still::hold(agent);
        copy_state(config, beside.path())?
    };
    let mut file = tempfile::tempfile_in(&config.home)?;
    let mut encoder = zstd::Encoder::new(&mut file, LEVEL)?;
    archive(beside.path(), &copied, &mut encoder)?;
    encoder.finish()?.flush()?;
    let size = file.metadata()?.len();
    let left_out = copied.left_out.into_iter().take(MAX_NAMED).collect();
    Ok((Snapshot { size, git_head: copied.git_head, left_out }, Bundle(file)))
}

struct Copied {
    git_head: String,
    left_out: Vec<String>,
}

fn copy_state(config: &Config, to: &Path) -> Step<Copied> {
    let repository = config.repository();
    let left_out = too_large(config, &repository)?;
    copy_tree(&repository, &to.join(REPOSITORY), &left_out)?;
    let state = config.state();
    std::fs::create_dir_all(to.join(STATE))?;
    for name in STATE_DIRS {
        let from = state.join(name);
        if from.is_dir() {
            copy_tree(&from, &to.join(STATE).join(name), &HashSet::new())?;
        }
    }
    let database = state.join(DATABASE);
    if database.exists() {
        vacuum_into(&database, &to.join(STATE).join(DATABASE))?;
    }
    let git_head = git(config, &repository, &["rev-parse", "HEAD"])?;
    let git_head = String::from_utf8_lossy(&git_head).trim().to_owned();
    let names = left_out.iter().map(|path| path.to_string_lossy().into_owned());
    let mut left_out: Vec<String> = names.collect();
    left_out.sort();
    Ok(Copied { git_head, left_out })
}

/// A consistent copy of a live database, its write-ahead log folded in.
fn vacuum_into(from: &Path, to: &Path) -> Step<()> {
    let connection = rusqlite::Connection::open_with_flags(
        from,
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(Failure::other)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(Failure::other)?;
    connection.execute("vacuum into ?1", [to.to_string_lossy()]).map_err(Failure::other)?;
    Ok(())
}

/// The ignored files that are too large to keep, relative to the repository.
fn too_large(config: &Config, repository: &Path) -> Step<HashSet<PathBuf>> {
    use std::os::unix::ffi::OsStrExt as _;
    let listed = git(
        config,
        repository,
        &["ls-files", "--others", "--ignored", "--exclude-standard", "-z"],
    )?;
    let mut sum = 0;
    let mut left_out = HashSet::new();
    for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name));
        let size = repository.join(&path).symlink_metadata().map_or(0, |about| about.len());
        if size > MAX_IGNORED_FILE || sum + size > MAX_IGNORED_SUM {
            left_out.insert(path);
        } else {
            sum += size;
        }
    }
    Ok(left_out)
}

/// git without a runtime: the agent stands still meanwhile.
fn git(config: &Config, repository: &Path, arguments: &[&str]) -> Step<Vec<u8>> {
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(repository)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &config.home)
        .env("GIT_CONFIG_GLOBAL", crate::git::global_config(config))
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Failure::other(String::from_utf8_lossy(&output.stderr)))
    }
}

/// Writes the archive: directories and files first, symbolic links last.
fn archive(from: &Path, copied: &Copied, to: impl std::io::Write) -> Step<()> {
    let mut tar = tar::Builder::new(to);
    tar.mode(tar::HeaderMode::Complete);
    tar.follow_symlinks(false);
    let manifest = Manifest {
        version: 1,
        git_head: copied.git_head.clone(),
        left_out: copied.left_out.iter().take(MAX_NAMED).cloned().collect(),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(Failure::other)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, MANIFEST, &manifest[..])?;
    let mut links = Vec::new();
    for part in [REPOSITORY, STATE] {
        append(&mut tar, from, Path::new(part), &mut links)?;
    }
    for link in links {
        tar.append_path_with_name(from.join(&link), &link)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn append(
    tar: &mut tar::Builder<impl std::io::Write>,
    root: &Path,
    dir: &Path,
    links: &mut Vec<PathBuf>,
) -> Step<()> {
    tar.append_path_with_name(root.join(dir), dir)?;
    for entry in std::fs::read_dir(root.join(dir))? {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            append(tar, root, &path, links)?;
        } else if kind.is_symlink() {
            links.push(path);
        } else if kind.is_file() {
            tar.append_path_with_name(root.join(&path), &path)?;
        }
    }
    Ok(())
}

/// While it lives, the agent and all that it started stand still.
struct Still(Vec<Pid>);

impl Still {
    fn hold(agent: Option<u32>) -> Self {
        let mut stopped = Vec::new();
        let Some(agent) = agent else { return Self(stopped) };
        // What is started while the first are stopped is found in the next round.
        loop {
            let more: Vec<Pid> =
                tree(agent).into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if more.is_empty() {
                return Self(stopped);
            }
            for pid in more {
                let _ = kill_process(pid, Signal::STOP);
                stopped.push(pid);
            }
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        for pid in self.0.iter().rev() {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

/// A process and its descendants; in a sandbox also what was orphaned, which is everything but this
/// program and its init.
fn tree(root: u32) -> Vec<Pid> {
    let own = std::process::id();
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let mut stat = String::new();
        let read = File::open(entry.path().join("stat"))
            .and_then(|mut file| file.read_to_string(&mut stat));
        // The name stands in brackets and may hold any character.
        let after = stat.rsplit_once(") ").map(|(_, after)| after);
        let parent = after.and_then(|after| after.split(' ').nth(1)?.parse::<u32>().ok());
        if let (Ok(_), Some(parent)) = (read, parent) {
            parents.push((pid, parent));
        }
    }
    let sandboxed = parents.iter().any(|(pid, parent)| *pid == own && *parent == 1);
    let mut members = vec![root];
    let mut next = 0;
    while next < members.len() {
        let of = members[next];
        next += 1;
        members.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
    }
    if sandboxed {
        members.extend(
            parents
                .iter()
                .filter(|(pid, parent)| *parent == 1 && *pid != own && *pid != root && *pid != 1)
                .map(|(pid, _)| *pid),
        );
    }
    members.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}
