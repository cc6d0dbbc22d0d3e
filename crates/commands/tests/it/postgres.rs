//! A PostgreSQL of a test's own, which it may stop, crash and restore.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

pub(crate) struct Cluster {
    dir: TempDir,
    bin: PathBuf,
    durable: bool,
}

impl Cluster {
    /// Made and started; `durable` keeps its durability settings as PostgreSQL ships them.
    pub(crate) async fn start(durable: bool) -> Self {
        let bin = newest_postgres();
        let dir = tempfile::Builder::new().prefix("paddock-pg-").tempdir().unwrap();
        let cluster = Self { dir, bin, durable };
        for path in [cluster.dir.path().to_owned(), cluster.data(), cluster.socket()] {
            fs::create_dir_all(&path).unwrap();
            own(&path);
        }
        fs::set_permissions(cluster.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        cluster.call(
            "initdb",
            &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D"],
        );
        cluster.up().await;
        let mut connection = cluster.connect("postgres", "postgres").await;
        for statement in [
            "create role paddock_owner login createdb",
            "create role paddock_serve login",
            "create database paddock owner paddock_owner",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        }
        commands::migrate(&cluster.url("paddock", "paddock_owner")).await.unwrap();
        cluster
    }

    pub(crate) fn url(&self, database: &str, role: &str) -> String {
        format!("postgres:///{database}?host={}&user={role}", self.socket().display())
    }

    pub(crate) fn serve_url(&self) -> String {
        self.url("paddock", "paddock_serve")
    }

    pub(crate) async fn connect(&self, database: &str, role: &str) -> PgConnection {
        for _ in 0..200 {
            if let Ok(connection) = PgConnection::connect(&self.url(database, role)).await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("PostgreSQL does not answer");
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn up(&self) {
        let fsync = if self.durable { "on" } else { "off" };
        let options = format!(
            "-c listen_addresses= -k {} -c max_connections=100 -c fsync={fsync} -c synchronous_commit=on",
            self.socket().display()
        );
        let log = self.dir.path().join("socket/log");
        self.call(
            "pg_ctl",
            &["start", "-w", "-s", "-o", &options, "-l", log.to_str().unwrap(), "-D"],
        );
        self.connect("postgres", "postgres").await;
    }

    /// Stops it as a crash does: nothing is written out, recovery follows at the next start.
    pub(crate) fn crash(&self) {
        self.call("pg_ctl", &["stop", "-m", "immediate", "-w", "-s", "-D"]);
    }

    /// Copies the running cluster to a directory that it can be restored from.
    pub(crate) fn base_backup(&self) {
        let backup = self.dir.path().join("backup");
        let socket = self.socket();
        let host = socket.to_str().unwrap();
        let status = self
            .command("pg_basebackup")
            .args(["-h", host, "-U", "postgres", "-X", "stream", "-c", "fast", "-D"])
            .arg(&backup)
            .status()
            .unwrap();
        assert!(status.success(), "pg_basebackup");
    }

    /// Replaces the data of the stopped cluster by the backup.
    pub(crate) fn restore(&self) {
        fs::remove_dir_all(self.data()).unwrap();
        fs::rename(self.dir.path().join("backup"), self.data()).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Runs a program whose last argument is the data directory.
    fn call(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program).args(arguments).arg(self.data()).status().unwrap();
        assert!(status.success(), "{program}");
    }

    /// PostgreSQL refuses to run as root: as root it runs under the uid that Debian's package made.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        let _ = stop
            .args(["stop", "-m", "immediate", "-s", "-D"])
            .arg(self.data())
            .stderr(Stdio::null())
            .status();
    }
}

fn own(path: &Path) {
    if is_root() {
        let status = Command::new("chown").arg("postgres:postgres").arg(path).status().unwrap();
        assert!(status.success(), "chown");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn newest_postgres() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL's binaries: run scripts/setup")
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort();
    versions.pop().expect("PostgreSQL's binaries: run scripts/setup").1
}
