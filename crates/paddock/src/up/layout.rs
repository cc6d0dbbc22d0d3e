//! Where things are in the data directory, and what is decided once for its life: ports, tokens.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::cli::CliError;

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// The ports of everything that listens.
    pub(crate) ports: Ports,
}

/// Ports on 127.0.0.1, chosen free at first and kept: sidecars that outlive `up` go on dialling them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) link: u16,
    pub(crate) gateway: u16,
    pub(crate) admin: u16,
    pub(crate) nats: u16,
    pub(crate) forge: u16,
    pub(crate) model: u16,
}

impl Layout {
    /// Makes the directories that are missing.
    pub(crate) fn create(root: PathBuf) -> anyhow::Result<Self> {
        let make = |dir: &Path, mode: u32| -> anyhow::Result<()> {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
            Ok(())
        };
        // Other uids (PostgreSQL's, the sandboxes') pass through; only the leaves are theirs.
        make(&root, 0o711)?;
        for (name, mode) in [
            ("secrets", 0o700),
            ("log", 0o700),
            ("nats", 0o700),
            ("egress", 0o711),
            ("runs", 0o711),
        ] {
            make(&root.join(name), mode)?;
        }
        let ports = Ports::load(&root.join("ports.json"))?;
        Ok(Self { root, ports })
    }

    /// Takes the directory for this process: the lock goes with it, however it ends.
    pub(crate) fn lock(&self) -> anyhow::Result<fs::File> {
        let path = self.root.join("up.lock");
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(CliError::usage(format!(
                "`paddock up` already runs on {}; stop it, or name another --data-dir",
                self.root.display()
            )));
        }
        Ok(file)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file of a secret that is made at random when it is first asked for.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join("secrets").join(name);
        if !path.exists() {
            let mut bytes = [0; 24];
            getrandom::fill(&mut bytes)?;
            write_private(&path, hex::encode(bytes).as_bytes())?;
        }
        Ok(path)
    }
}

impl Ports {
    fn load(path: &Path) -> anyhow::Result<Self> {
        if let Ok(text) = fs::read(path) {
            return serde_json::from_slice(&text).with_context(|| path.display().to_string());
        }
        // All are held open until all are chosen, so that no two are the same.
        let mut held = Vec::new();
        let mut free = || -> anyhow::Result<u16> {
            let listener = free_port(Ipv4Addr::LOCALHOST.into())?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        let ports = Self {
            link: free()?,
            gateway: free()?,
            admin: free()?,
            nats: free()?,
            forge: free()?,
            model: free()?,
        };
        write_private(path, &serde_json::to_vec(&ports)?)?;
        Ok(ports)
    }
}

/// A listener on a free port, to be let go of for whoever is to listen there. The port is below those that
/// the kernel gives to outgoing connections: one of these might be given away in between.
pub(crate) fn free_port(address: IpAddr) -> anyhow::Result<TcpListener> {
    const PORTS: std::ops::Range<u16> = 10_000..32_768;
    for _ in 0..100 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes)?;
        let port = PORTS.start + u16::from_ne_bytes(bytes) % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind((address, port)) {
            return Ok(listener);
        }
    }
    bail!("no free port of {address} was found between {} and {}", PORTS.start, PORTS.end)
}

/// `port` on 127.0.0.1.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .with_context(|| format!("cannot write {}", beside.display()))?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)?;
    Ok(())
}
