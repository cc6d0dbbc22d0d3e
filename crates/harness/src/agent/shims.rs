//! What the agent starts must not inherit its server's password: a hostile hook or a plain `env` would
//! write it into the transcript or the workspace, and so into a bundle. OpenCode knows no other way to be
//! told than its environment, so its shell and its git are reached through scripts that drop it.

use std::{
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{config::Config, failure::Step};

/// What is dropped.
const DROPPED: &str = "OPENCODE_SERVER_PASSWORD OPENCODE_CONFIG_CONTENT";

/// The scripts of one home.
pub(super) struct Shims {
    /// The agent's shell.
    pub(super) shell: PathBuf,
    /// Where its programs are looked for.
    pub(super) search_path: OsString,
}

impl Shims {
    /// Writes them.
    pub(super) fn make(config: &Config) -> Step<Self> {
        let dir = config.home.join(".local/lib/paddock");
        fs::create_dir_all(&dir)?;
        let path = Config::search_path();
        let find = |name: &str| {
            std::env::split_paths(&path).map(|dir| dir.join(name)).find(|it| it.is_file())
        };
        let shell = match find("bash") {
            Some(bash) => shim(&dir.join("bash"), &bash)?,
            None => shim(&dir.join("sh"), Path::new("/bin/sh"))?,
        };
        if let Some(git) = find("git") {
            shim(&dir.join("git"), &git)?;
        }
        let mut search_path = dir.into_os_string();
        search_path.push(":");
        search_path.push(&path);
        Ok(Self { shell, search_path })
    }
}

fn shim(at: &Path, program: &Path) -> Step<PathBuf> {
    let mut script = format!("#!/bin/sh\nunset {DROPPED}\nexec '").into_bytes();
    script.extend_from_slice(program.as_os_str().as_bytes());
    script.extend_from_slice(b"' \"$@\"\n");
    fs::write(at, script)?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o755))?;
    Ok(at.to_owned())
}
