//! Every git step on the workspace. The repository's own configuration may run code: it runs here, inside
//! the sandbox, as the agent, or not at all.

mod changes;
mod checkout;
mod publish;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use crate::{
    failure::{Failure, Step},
    server::Config,
    wire::StepErrorKind,
};

pub(crate) use self::{
    changes::changes,
    checkout::{clone, resume},
    publish::{commit, push},
};

/// How long one git command may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// The most bytes of one command's output.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;

/// Settings that a repository's own must not replace: nothing of the repository's starts with a step.
const SAFE: [&str; 10] = [
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.sshCommand=false",
    "-c",
    "credential.helper=",
    "-c",
    "protocol.file.allow=user",
];

/// The agent's own git configuration.
pub(crate) fn global_config(config: &Config) -> PathBuf {
    config.home.join(".gitconfig")
}

/// Writes the agent's git configuration, once: who it is, until a person changes it.
pub(crate) fn configure(config: &Config) -> Step<()> {
    let path = global_config(config);
    if !path.exists() {
        std::fs::write(
            path,
            "[user]\n\tname = Paddock agent\n\temail = agent@paddock.invalid\n[safe]\n\tdirectory = *\n\
             [init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n",
        )?;
    }
    Ok(())
}

/// Lets git, the agent's too, reach `remote_url` through the gateway's route.
async fn route(config: &Config, remote_url: &str) -> Step<()> {
    let mut parts = remote_url.trim_end_matches('/').rsplit('/');
    let (Some(name), Some(owner)) = (parts.next(), parts.next()) else {
        return Err(Failure::other("the remote's address does not end in owner/name.git"));
    };
    let route = format!("http://{}/git/{owner}/{name}", config.proxy);
    let key = format!("url.{route}.insteadOf");
    let file = global_config(config);
    let git = Git::new(config).at(&config.workspace);
    git.run(&["config", "--file", &file.to_string_lossy(), "--replace-all", &key, remote_url])
        .await?;
    Ok(())
}

/// One git command to be.
struct Git<'a> {
    config: &'a Config,
    dir: PathBuf,
    environment: Vec<(&'a str, String)>,
    input: Option<&'a [u8]>,
}

/// What a git command said.
struct Said {
    success: bool,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
    truncated: bool,
}

impl<'a> Git<'a> {
    fn new(config: &'a Config) -> Self {
        Self { config, dir: config.repository(), environment: vec![], input: None }
    }

    fn at(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.dir);
        self
    }

    fn env(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn input(mut self, input: &'a [u8]) -> Self {
        self.input = Some(input);
        self
    }

    /// Runs it; a failure is an error of the kind that git's words tell.
    async fn run(&self, arguments: &[&str]) -> Step<String> {
        let said = self.attempt(arguments, MAX_OUTPUT).await?;
        if said.success {
            return Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned());
        }
        Err(said.failure(arguments))
    }

    /// Runs it, keeping at most `most` bytes of its output.
    async fn attempt(&self, arguments: &[&str], most: u64) -> Step<Said> {
        let mut command = Command::new("git");
        command
            .args(SAFE)
            .args(arguments)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.config.home)
            .env("LANG", "C.UTF-8")
            .env("GIT_CONFIG_GLOBAL", global_config(self.config))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("NO_PROXY", "localhost,127.0.0.1,::1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let work = async {
            if let (Some(mut stdin), Some(input)) = (child.stdin.take(), self.input) {
                stdin.write_all(input).await?;
            }
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
            // Read on past the limit, or the command waits for a reader for ever.
            let read_out = async {
                let Some(stdout) = stdout.as_mut() else { return Ok(0) };
                let mut limited = stdout.take(most);
                limited.read_to_end(&mut out).await?;
                tokio::io::copy(stdout, &mut tokio::io::sink()).await
            };
            let read_err = async {
                let Some(stderr) = stderr.as_mut() else { return Ok(0) };
                stderr.take(64 * 1024).read_to_end(&mut err).await?;
                tokio::io::copy(stderr, &mut tokio::io::sink()).await
            };
            let (beyond, _) = tokio::try_join!(read_out, read_err)?;
            let status = child.wait().await?;
            std::io::Result::Ok(Said {
                success: status.success(),
                code: status.code(),
                stdout: out,
                stderr: String::from_utf8_lossy(&err).into_owned(),
                truncated: beyond > 0,
            })
        };
        match timeout(PATIENCE, work).await {
            Ok(said) => Ok(said?),
            Err(_) => Err(Failure::new(
                StepErrorKind::Unavailable,
                format!("git {} took longer than ten minutes", arguments.first().unwrap_or(&"")),
            )),
        }
    }
}

impl Said {
    fn failure(&self, arguments: &[&str]) -> Failure {
        let words = self.stderr.trim();
        let has = |text: &str| words.contains(text);
        let kind = if has("returned error: 404") || has("not found") && has("repository") {
            StepErrorKind::RepositoryNotFound
        } else if has("returned error: 401")
            || has("returned error: 403")
            || has("Authentication failed")
            || has("could not read Username")
        {
            StepErrorKind::Unauthorised
        } else if has("[rejected]") || has("[remote rejected]") {
            StepErrorKind::PushRejected
        } else if has("Could not resolve")
            || has("Failed to connect")
            || has("returned error: 5")
            || has("Empty reply")
            || has("RPC failed")
            || has("early EOF")
            || has("Connection reset")
        {
            StepErrorKind::Unavailable
        } else {
            StepErrorKind::Other
        };
        let command = arguments.first().unwrap_or(&"");
        Failure::new(kind, format!("git {command}: {words}"))
    }
}
