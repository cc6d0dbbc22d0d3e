use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::faults::Faults;

/// A running forge.
pub struct Forge {
    /// Where everything is kept.
    pub(super) data: PathBuf,
    /// Its address.
    pub(super) url: String,
    /// The one token.
    pub(super) token: String,
    /// What is to go wrong.
    pub(super) faults: Faults,
    kept: Mutex<Kept>,
}

/// What outlives a restart, beside the repositories.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) issues: Vec<Issue>,
    pub(super) pulls: Vec<Pull>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issue {
    pub(super) repo: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) created_at: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pull {
    pub(super) repo: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) head: String,
    pub(super) base: String,
    pub(super) draft: bool,
    pub(super) created_at: String,
}

impl Forge {
    /// Opens the forge in `data`, as it was left.
    pub fn open(data: PathBuf, url: &str, token: String) -> anyhow::Result<Arc<Self>> {
        std::fs::create_dir_all(data.join("git"))?;
        let kept = match std::fs::read(data.join("forge.json")) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(_) => Kept::default(),
        };
        let kept = Mutex::new(kept);
        Ok(Arc::new(Self { data, url: url.to_owned(), token, faults: Faults::default(), kept }))
    }

    /// The bare repository of that name, if there is one.
    pub(super) fn repository(&self, owner: &str, name: &str) -> Option<PathBuf> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !plain(owner) || !plain(name) {
            return None;
        }
        let path = self.data.join("git").join(owner).join(format!("{name}.git"));
        path.is_dir().then_some(path)
    }

    pub(super) fn kept(&self) -> Kept {
        self.lock().clone()
    }

    /// Changes what is kept, on disk too, before anybody is told.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> std::io::Result<T> {
        let mut kept = self.lock();
        let result = change(&mut kept);
        let beside = self.data.join("forge.new");
        std::fs::write(&beside, serde_json::to_vec_pretty(&*kept)?)?;
        std::fs::rename(beside, self.data.join("forge.json"))?;
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
