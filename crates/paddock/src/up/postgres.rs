//! A private PostgreSQL on a Unix socket, under a uid of its own when started as root.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

use super::{child::Spec, layout::Layout};
use crate::{cli::CliError, config::Secret};

/// The uid that Debian's package makes for PostgreSQL, which refuses to run as root.
const SYSTEM_USER: &str = "postgres";
/// The longest path that a Unix socket can have, less the socket's own name.
const MAX_SOCKET_DIR: usize = 80;

/// A private server.
pub(crate) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    as_root: bool,
}

impl Postgres {
    /// Makes the data directory on first use.
    pub(crate) async fn prepare(layout: &Layout) -> anyhow::Result<Self> {
        let home = layout.join("postgres");
        let as_root = rustix::process::geteuid().is_root();
        let this =
            Self { bin: find_bin()?, data: home.join("data"), socket: socket_dir(&home), as_root };
        for dir in [&home, &this.data, &this.socket] {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        if as_root {
            this.give_to_system_user(&home).await?;
        }
        if !this.data.join("PG_VERSION").exists() {
            this.initdb().await?;
        }
        Ok(this)
    }

    /// How to start it.
    pub(crate) fn spec(&self) -> Spec {
        let (program, prefix) = self.as_its_user(self.bin.join("postgres"));
        let setting = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        prefix
            .into_iter()
            .fold(Spec::new("postgres", program), Spec::arg)
            .arg("-D")
            .arg(&self.data)
            .args(setting("listen_addresses", ""))
            .args(setting("unix_socket_directories", &self.socket.display().to_string()))
            .args(setting("max_connections", "100"))
            .args(setting("shared_buffers", "32MB"))
            // SIGINT: end the connections, flush, stop.
            .stop_with(rustix::process::Signal::INT)
    }

    /// Waits until it answers, and makes the two roles and the database.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let url = self.url("postgres", "postgres");
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        let mut connection = loop {
            match PgConnection::connect(url.expose()).await {
                Ok(connection) => break connection,
                Err(error) if tokio::time::Instant::now() > deadline => {
                    return Err(error).context("PostgreSQL does not answer; see log/postgres.log");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        for role in ["paddock_owner", "paddock_serve"] {
            let sql = format!(
                "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then \
                 create role {role} login; end if; end $$"
            );
            connection.execute(sqlx::AssertSqlSafe(sql)).await?;
        }
        let there: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = 'paddock')")
                .fetch_one(&mut connection)
                .await?;
        if !there {
            connection.execute("create database paddock owner paddock_owner").await?;
        }
        Ok(())
    }

    /// The URL for the schema's owner.
    pub(crate) fn owner_url(&self) -> Secret {
        self.url("paddock_owner", "paddock")
    }

    /// The URL for the serving role.
    pub(crate) fn serve_url(&self) -> Secret {
        self.url("paddock_serve", "paddock")
    }

    fn url(&self, user: &str, database: &str) -> Secret {
        let socket: String =
            url::form_urlencoded::byte_serialize(self.socket.display().to_string().as_bytes())
                .collect();
        Secret::from(format!("postgres:///{database}?host={socket}&user={user}"))
    }

    async fn give_to_system_user(&self, home: &Path) -> anyhow::Result<()> {
        let owned: [&Path; 2] = [home, &self.socket];
        for dir in owned {
            run(Command::new("chown")
                .arg("-R")
                .arg(format!("{SYSTEM_USER}:{SYSTEM_USER}"))
                .arg(dir))
            .await
            .context("PostgreSQL's uid is made by Debian's package postgresql-15")?;
        }
        let (program, prefix) = self.as_its_user(PathBuf::from("test"));
        let reachable =
            Command::new(program).args(prefix).arg("-x").arg(home).status().await?.success();
        if !reachable {
            bail!(CliError::usage(format!(
                "the user {SYSTEM_USER} cannot reach {}: name a --data-dir that others may pass \
                 through, such as /var/lib/paddock",
                home.display()
            )));
        }
        Ok(())
    }

    async fn initdb(&self) -> anyhow::Result<()> {
        let (program, prefix) = self.as_its_user(self.bin.join("initdb"));
        let mut command = Command::new(program);
        command.args(prefix).arg("-D").arg(&self.data);
        // The socket's directory is open to this user and to root alone, so no password is needed.
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        run(command.current_dir("/")).await.context("initdb")
    }

    /// The program and its first arguments: as root, through `setpriv`.
    fn as_its_user(&self, program: PathBuf) -> (PathBuf, Vec<std::ffi::OsString>) {
        if !self.as_root {
            return (program, vec![]);
        }
        let user = |flag: &str| format!("{flag}={SYSTEM_USER}").into();
        let arguments =
            vec![user("--reuid"), user("--regid"), "--init-groups".into(), program.into()];
        (PathBuf::from("setpriv"), arguments)
    }
}

fn socket_dir(home: &Path) -> PathBuf {
    let near = home.join("socket");
    if near.as_os_str().len() <= MAX_SOCKET_DIR {
        return near;
    }
    let digest = <sha2::Sha256 as sha2::Digest>::digest(home.as_os_str().as_encoded_bytes());
    std::env::temp_dir().join(format!("paddock-{}", hex::encode(&digest[..8])))
}

fn find_bin() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("PADDOCK_POSTGRES_BIN") {
        return Ok(dir.into());
    }
    let newest = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("postgres").is_file())
        .max_by_key(|bin| version_of(bin));
    newest.context(
        "PostgreSQL is not installed: run scripts/setup, or name the directory of its programs in \
         PADDOCK_POSTGRES_BIN",
    )
}

fn version_of(bin: &Path) -> u32 {
    let name = bin.parent().and_then(Path::file_name).and_then(std::ffi::OsStr::to_str);
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(())
}
