use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::settings::SAFE;
use crate::{
    config::Config,
    failure::{Failure, Step},
    wire::StepErrorKind,
};

/// How long a command on local files may take.
const LOCAL: Duration = Duration::from_mins(3);
/// How long a command that talks to the forge may take.
const REMOTE: Duration = Duration::from_mins(10);
/// The most bytes kept of one command's output.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;
/// The most bytes kept of its standard error.
const MAX_WORDS: u64 = 64 * 1024;

/// One git command to be.
pub(crate) struct Git<'a> {
    config: &'a Config,
    dir: PathBuf,
    environment: Vec<(&'a str, String)>,
    settings: Vec<String>,
    input: Option<&'a [u8]>,
    patience: Duration,
    most: u64,
}

/// What a git command said.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) truncated: bool,
}

impl<'a> Git<'a> {
    /// On the repository: this one, whatever its `core.worktree` says and whatever lies above it.
    pub(crate) fn new(config: &'a Config) -> Self {
        let repository = config.repository();
        Self::anywhere(config, &repository)
            .env("GIT_DIR", repository.join(".git").to_string_lossy())
            .env("GIT_WORK_TREE", repository.to_string_lossy())
    }

    /// In a directory that need not be a repository.
    pub(super) fn anywhere(config: &'a Config, dir: &Path) -> Self {
        Self {
            config,
            dir: dir.to_owned(),
            environment: vec![],
            settings: vec![],
            input: None,
            patience: LOCAL,
            most: MAX_OUTPUT,
        }
    }

    pub(crate) fn env(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// One more setting that the repository's own does not replace.
    pub(super) fn set(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    pub(super) fn input(mut self, input: &'a [u8]) -> Self {
        self.input = Some(input);
        self
    }

    /// With the patience that a forge needs.
    pub(super) fn remote(mut self) -> Self {
        self.patience = REMOTE;
        self
    }

    /// Keeping at most so many bytes of its output, and ending it there.
    pub(crate) fn at_most(mut self, bytes: u64) -> Self {
        self.most = bytes;
        self
    }

    /// Runs it; a failure is an error of the kind that git's words tell.
    pub(super) async fn run(&self, arguments: &[&str]) -> Step<String> {
        let said = self.attempt(arguments).await?;
        if said.success { Ok(said.text()) } else { Err(said.failure(arguments)) }
    }

    /// Runs it; its output, whole.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Step<Vec<u8>> {
        let said = self.attempt(arguments).await?;
        if said.success && !said.truncated { Ok(said.stdout) } else { Err(said.failure(arguments)) }
    }

    /// Runs it, whatever comes of it.
    pub(crate) async fn attempt(&self, arguments: &[&str]) -> Step<Said> {
        let running = Running(self.command(arguments).spawn()?);
        let heard = timeout(self.patience, running.hear(self.input, self.most)).await;
        let said = heard.map_err(|_| {
            let command = arguments.first().unwrap_or(&"");
            let detail = format!("git {command} took longer than {} s", self.patience.as_secs());
            Failure::new(StepErrorKind::Unavailable, detail)
        })?;
        Ok(said?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("--no-pager").arg("--literal-pathspecs");
        for setting in SAFE.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command
            .args(arguments)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", Config::search_path())
            .env("HOME", &self.config.home)
            .env("LANG", "C.UTF-8")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "false")
            .env("GIT_EDITOR", "false")
            // No configuration can allow another: ext:: would run a command.
            .env("GIT_ALLOW_PROTOCOL", "http:https")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("NO_PROXY", "localhost,127.0.0.1,::1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

/// A command under way. When it is dropped, all that it started in its process group ends.
struct Running(Child);

impl Running {
    async fn hear(mut self, input: Option<&[u8]>, most: u64) -> std::io::Result<Said> {
        let (stdin, stdout, stderr) =
            (self.0.stdin.take(), self.0.stdout.take(), self.0.stderr.take());
        let write = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A command that ends without reading it says why itself.
                let _ = stdin.write_all(input).await;
            }
            std::io::Result::Ok(())
        };
        // Standard error is read on past its limit, or the command waits for its reader for ever.
        let words = async {
            let Some(mut stderr) = stderr else { return Ok(Vec::new()) };
            let (words, _) = keep(&mut stderr, MAX_WORDS).await?;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
            Ok(words)
        };
        let group = group_of(&self.0);
        let output = async {
            let Some(mut stdout) = stdout else { return Ok((Vec::new(), false)) };
            let kept = keep(&mut stdout, most).await?;
            if let (true, Some(group)) = (kept.1, group) {
                // The rest is not wanted: it may be endless.
                let _ = kill_process_group(group, Signal::KILL);
            }
            Ok(kept)
        };
        let ((), (stdout, truncated), stderr) = tokio::try_join!(write, output, words)?;
        let status = self.0.wait().await?;
        Ok(Said {
            success: status.success(),
            code: status.code(),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            truncated,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // None once it was waited for.
        if let Some(group) = group_of(&self.0) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn group_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

/// Reads at most so many bytes, and whether there are more.
async fn keep(from: &mut (impl AsyncRead + Unpin), most: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    from.take(most + 1).read_to_end(&mut kept).await?;
    let whole = usize::try_from(most).unwrap_or(usize::MAX);
    let more = kept.len() > whole;
    kept.truncate(whole);
    Ok((kept, more))
}

impl Said {
    /// Its output without the end of its last line.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Whether `git add --ignore-errors` did what it could: a file that cannot be read and a repository in
    /// the repository without a commit keep nothing else out.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self.code, Some(0 | 1))
    }

    /// The failure, of the kind that git's words tell: it has no other way to say it.
    pub(crate) fn failure(&self, arguments: &[&str]) -> Failure {
        let words = self.stderr.trim();
        let has = |any: &[&str]| any.iter().any(|text| words.contains(text));
        let kind = if has(&["returned error: 404"]) || has(&["not found"]) && has(&["repository"]) {
            StepErrorKind::RepositoryNotFound
        } else if has(&[
            "returned error: 401",
            "returned error: 403",
            "Authentication failed",
            "could not read Username",
        ]) {
            StepErrorKind::Unauthorised
        } else if has(&["[rejected]", "[remote rejected]"]) {
            StepErrorKind::PushRejected
        } else if has(&[
            "Could not resolve",
            "Failed to connect",
            "returned error: 5",
            "returned error: 429",
            "Empty reply",
            "RPC failed",
            "early EOF",
            "Connection reset",
            "hung up unexpectedly",
        ]) {
            StepErrorKind::Unavailable
        } else {
            StepErrorKind::Other
        };
        let command = arguments.first().unwrap_or(&"");
        Failure::new(kind, format!("git {command}: {words}"))
    }
}
