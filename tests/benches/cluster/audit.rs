//! What the API server itself says of who wrote how often.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The API server's audit log, where this machine has it.
pub(crate) struct Audit {
    path: PathBuf,
    from: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user_agent: Option<String>,
    object_ref: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    resource: Option<String>,
    namespace: Option<String>,
    subresource: Option<String>,
}

impl Audit {
    /// What is written from now on; none where the cluster is not of this machine.
    pub(crate) fn from_now() -> Option<Self> {
        let kubeconfig = std::env::var_os("KUBECONFIG")?;
        let path = Path::new(&kubeconfig).parent()?.join("log/audit.log");
        let from = std::fs::metadata(&path).ok()?.len();
        Some(Self { path, from })
    }

    /// How often a client wrote in a namespace, by what it did.
    pub(crate) fn writes(
        &self,
        client: &str,
        namespace: &str,
    ) -> anyhow::Result<BTreeMap<String, u32>> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut counts = BTreeMap::new();
        for line in BufReader::new(file).lines() {
            // The last one may not be whole yet.
            let Ok(Line { verb, user_agent, object_ref }) = serde_json::from_str(&line?) else {
                continue;
            };
            let Some(object) = object_ref else { continue };
            let writes = ["create", "update", "patch", "delete", "deletecollection"];
            let its = user_agent.is_some_and(|agent| agent.starts_with(client))
                && object.namespace.as_deref() == Some(namespace);
            if !its || !writes.contains(&&*verb) {
                continue;
            }
            let of = [Some(verb), object.resource, object.subresource];
            let what = of.into_iter().flatten().collect::<Vec<_>>().join(" ");
            *counts.entry(what).or_default() += 1;
        }
        Ok(counts)
    }
}
