use std::{
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::Pid;
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, Command},
};

use super::{client::Client, shims::Shims};
use crate::{
    config::Config,
    failure::{Failure, Step},
    git, processes,
};

/// The file that keeps OpenCode from installing a plugin into its configuration directory.
const PLUGIN_LOCK: &str =
    r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1.18.33"}}}}"#;
/// How much of its standard error is kept, to say why it did not start.
const MAX_WORDS: usize = 8 * 1024;
/// What a repository's own configuration could start, and what would look for the internet.
const OFF: [&str; 7] = [
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_DISABLE_MODELS_FETCH",
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_SHARE",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_PURE",
];

/// A process that was just started.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) pid: Pid,
    pub(super) client: Client,
    pub(super) words: Words,
}

/// Starts OpenCode with a new password, in a process group of its own.
pub(super) fn launch(config: &Config, settings: &Value) -> Step<Launched> {
    prepare_home(&config.home)?;
    let shims = Shims::make(config)?;
    let password = random_password()?;
    let port = free_port()?;
    let client = Client::new(config, port, &password)?;
    let mut child = command(config, settings, &shims, &password, port)
        .spawn()
        .map_err(|error| Failure::agent(format!("{}: {error}", config.opencode.display())))?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let pid = pid.ok_or_else(|| Failure::agent("it ended at once"))?;
    processes::first_to_go(pid);
    let words = Words::default();
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(words.clone().listen(stderr));
    }
    Ok(Launched { child, pid, client, words })
}

fn command(config: &Config, settings: &Value, shims: &Shims, password: &str, port: u16) -> Command {
    let home = &config.home;
    let mut command = Command::new(&config.opencode);
    command
        .args(["serve", "--hostname", "127.0.0.1", "--port", &port.to_string()])
        .current_dir(config.repository())
        .env_clear()
        // First, so that nothing of it takes the place of what follows.
        .envs(config.agent_env.iter().map(|(name, value)| (name, value)))
        .env("PATH", &shims.search_path)
        .env("SHELL", &shims.shell)
        .env("HOME", home)
        .env("USER", "agent")
        .env("LANG", "C.UTF-8")
        .env("TERM", "dumb")
        .env("XDG_DATA_HOME", home.join(".local/share"))
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_CACHE_HOME", home.join(".cache"))
        .env("XDG_STATE_HOME", home.join(".local/state"))
        .envs(config.proxy_environment())
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", git::agents_config(config))
        .env("OPENCODE_SERVER_PASSWORD", password)
        .env("OPENCODE_CONFIG_CONTENT", settings.to_string())
        .envs(OFF.map(|name| (name, "1")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The end of what it says on its standard error. It is the agent's, so it is read for ever and never
/// logged: a log could be filled with it.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    pub(super) fn said(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).trim().to_owned()
    }

    async fn listen(self, mut stderr: ChildStderr) {
        let mut chunk = vec![0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
            let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(&chunk[..read]);
            let beyond = words.len().saturating_sub(MAX_WORDS);
            words.drain(..beyond);
        }
    }
}

fn prepare_home(home: &Path) -> Step<()> {
    let config = home.join(".config/opencode");
    for dir in [config.join("node_modules"), home.join(".local/share"), home.join(".cache")] {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(config.join("package.json"), "{}")?;
    std::fs::write(config.join("package-lock.json"), PLUGIN_LOCK)?;
    Ok(())
}

fn random_password() -> Step<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(Failure::other)?;
    Ok(hex::encode(bytes))
}

/// A port that is free now: inside, nothing but the agent competes for it.
fn free_port() -> Step<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
