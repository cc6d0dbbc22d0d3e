//! Which processes are ours: name, pid, start time and boot, kept in a file so that the next `up` can
//! take them over, and never anything that merely has the same pid.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use local_adapter::processes::Identity;

use super::layout::write_private;

/// The recorded processes of one data directory.
#[derive(Clone)]
pub(crate) struct Records {
    path: PathBuf,
    children: Arc<Mutex<BTreeMap<String, Identity>>>,
}

impl Records {
    /// Reads what an earlier `up` left.
    pub(crate) fn load(path: PathBuf) -> Self {
        let children =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { path, children: Arc::new(Mutex::new(children.unwrap_or_default())) }
    }

    /// The recorded process of that name, if it still runs.
    pub(crate) fn living(&self, name: &str) -> Option<Identity> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.get(name).filter(|identity| identity.is_alive()).cloned()
    }

    /// Records a process, or that there is none of that name.
    pub(crate) fn set(&self, name: &str, identity: Option<Identity>) -> anyhow::Result<()> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        match identity {
            Some(identity) => children.insert(name.to_owned(), identity),
            None => children.remove(name),
        };
        write_private(&self.path, &serde_json::to_vec_pretty(&*children)?)
    }
}
