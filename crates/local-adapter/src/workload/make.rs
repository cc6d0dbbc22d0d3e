use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::Path,
};

use anyhow::Context as _;

use super::Workload;

impl Workload<'_> {
    /// Makes the directories, each for the one uid that is to use it. What is there already is made so
    /// again: a start that was cut short is repeated.
    pub(crate) fn make_directories(&self) -> anyhow::Result<()> {
        let agent = self.uids.map(|uids| uids.agent);
        let sidecar = self.uids.map(|uids| uids.sidecar);
        let run = self.place.dir.parent().context("a workload's directory has a parent")?;
        if let Some(runs) = run.parent() {
            fs::create_dir_all(runs)?;
        }
        for dir in [run, &self.place.dir] {
            directory(dir, 0o711, None)?;
        }
        directory(&self.place.join("launch"), 0o700, None)?;
        for name in ["home", "workspace"] {
            directory(&self.place.join(name), 0o700, Some((agent, agent)))?;
        }
        // The agent makes the socket, the sidecar passes through to it: nobody else may.
        directory(&self.place.join("harness"), 0o710, Some((agent, sidecar)))?;
        directory(&self.place.join("sidecar"), 0o700, Some((sidecar, sidecar)))?;
        // One that an earlier start left would say that the harness answers.
        let _ = fs::remove_file(self.place.harness_socket());
        Ok(())
    }

    /// Writes the sidecar's identity, for nobody else to read, not even for a moment.
    pub(crate) fn write_identity(&self, token: &str) -> anyhow::Result<()> {
        let path = self.place.identity_file();
        let beside = self.place.join("sidecar/identity.new");
        let _ = fs::remove_file(&beside);
        let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o400).open(&beside)?;
        std::io::Write::write_all(&mut &file, token.as_bytes())?;
        let sidecar = self.uids.map(|uids| uids.sidecar);
        std::os::unix::fs::fchown(&file, sidecar, sidecar)?;
        fs::rename(beside, path)?;
        Ok(())
    }
}

type Owner = (Option<u32>, Option<u32>);

fn directory(dir: &Path, mode: u32, owner: Option<Owner>) -> anyhow::Result<()> {
    let make = || -> std::io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        if let Some((uid, gid)) = owner {
            chown(dir, uid, gid)?;
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
    };
    make().with_context(|| format!("cannot make {}", dir.display()))
}
