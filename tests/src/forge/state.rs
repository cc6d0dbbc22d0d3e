use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{Token, apps::App, bare::Bare, faults::Faults, requests::Requests};

/// The name of everybody who works on the forge.
pub(super) const NOBODY: &str = "octo-bot";

/// A forge.
pub struct Forge {
    /// Where everything is kept.
    pub(super) data: PathBuf,
    /// Its address.
    pub(super) url: String,
    /// Who may call.
    pub(super) tokens: Mutex<Vec<Token>>,
    /// The apps that it knows.
    pub(super) apps: Mutex<Vec<App>>,
    /// What is to go wrong.
    pub(super) faults: Faults,
    /// What was asked.
    pub(super) requests: Requests,
    kept: Mutex<Kept>,
}

/// What outlives a restart, beside the repositories.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) repositories: Vec<Repository>,
    pub(super) issues: Vec<Issue>,
    pub(super) pulls: Vec<Pull>,
}

/// A repository, beside what git knows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) created_at: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issue {
    pub(super) repo: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    #[serde(default)]
    pub(super) closed: bool,
    pub(super) created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pull {
    pub(super) repo: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) head: String,
    /// The newest commit of `head` that is known: it stays when the branch goes.
    #[serde(default)]
    pub(super) head_sha: String,
    pub(super) base: String,
    pub(super) draft: bool,
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) updated_at: Option<String>,
    #[serde(default)]
    pub(super) closed_at: Option<String>,
    #[serde(default)]
    pub(super) merged_at: Option<String>,
}

impl Repository {
    /// One of which only the directory is there.
    pub(super) fn found(owner: &str, name: &str) -> Self {
        Self {
            id: 1,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private: true,
            created_at: "2024-01-01T00:00:00Z".to_owned(),
        }
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl Pull {
    pub(super) fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

impl Forge {
    /// Opens the forge in `data`, as it was left.
    pub fn open(data: PathBuf, url: &str, tokens: Vec<Token>) -> anyhow::Result<Arc<Self>> {
        std::fs::create_dir_all(data.join("git"))?;
        let kept = match std::fs::read(data.join("forge.json")) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Arc::new(Self {
            data: std::path::absolute(data)?,
            url: url.to_owned(),
            tokens: Mutex::new(tokens),
            apps: Mutex::default(),
            faults: Faults::default(),
            requests: Requests::default(),
            kept: Mutex::new(kept),
        }))
    }

    /// Where its REST API is, as an Enterprise host has it.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    /// The bare repository of that name on this machine's disk, if there is one.
    #[must_use]
    pub fn bare_repository(&self, owner: &str, name: &str) -> Option<PathBuf> {
        self.find(owner, name).map(|(_, bare)| bare.dir().to_owned())
    }

    /// How many pull requests there are, open or not.
    #[must_use]
    pub fn pull_requests(&self) -> usize {
        self.lock().pulls.len()
    }

    /// The repository of that name, if there is one; like GitHub's, names have no case.
    pub(super) fn find(&self, owner: &str, name: &str) -> Option<(Repository, Bare)> {
        if !is_plain(owner) || !is_plain(name) {
            return None;
        }
        let known = self.lock().repositories.iter().find_map(|repo| {
            let same =
                repo.owner.eq_ignore_ascii_case(owner) && repo.name.eq_ignore_ascii_case(name);
            same.then(|| repo.clone())
        });
        let repo = known.unwrap_or_else(|| Repository::found(owner, name));
        let dir = self.directory(&repo.owner, &repo.name);
        dir.is_dir().then(|| (repo, Bare::new(dir)))
    }

    /// Where a repository is.
    pub(super) fn directory(&self, owner: &str, name: &str) -> PathBuf {
        self.data.join("git").join(owner).join(format!("{name}.git"))
    }

    pub(super) fn kept(&self) -> Kept {
        self.lock().clone()
    }

    /// Changes what is kept, on disk too, before anybody is told.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> std::io::Result<T> {
        let mut kept = self.lock();
        let mut next = kept.clone();
        let result = change(&mut next);
        let beside = self.data.join("forge.new");
        std::fs::write(&beside, serde_json::to_vec_pretty(&next)?)?;
        std::fs::rename(beside, self.data.join("forge.json"))?;
        *kept = next;
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Issues and pull requests share their numbers.
    pub(super) fn next_number(&self, repo: &str) -> u64 {
        let issues =
            self.issues.iter().filter(|issue| issue.repo == repo).map(|issue| issue.number);
        let pulls = self.pulls.iter().filter(|pull| pull.repo == repo).map(|pull| pull.number);
        issues.chain(pulls).max().unwrap_or(0) + 1
    }
}

/// Whether a text can be an owner's or a repository's name, and so a name of a directory.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The time now, as GitHub writes it.
pub(super) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
