//! What this command line saw of each server's log: the last checkpoint, to which it holds the server at every
//! contact about the record.

use std::path::PathBuf;

use anyhow::Context as _;
use audit::{
    Hash, SignedCheckpoint, VerifyingKey,
    hold::{Handover, hold},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::{CliError, Client};

/// The log is not the one that was seen before.
const BROKEN: u8 = 1;

/// What is remembered of a server.
#[derive(Serialize, Deserialize)]
struct Remembered {
    server: String,
    checkpoint: String,
    /// The key that signed that.
    key: String,
}

/// A server's newest checkpoint, held to what was seen before.
pub(super) struct Held {
    pub(super) checkpoint: SignedCheckpoint,
    /// The key that signed it.
    pub(super) key: VerifyingKey,
    /// The size of what was seen before; none at the first contact.
    pub(super) before: Option<u64>,
}

/// Asks for the newest checkpoint and holds the server to what it signed before; remembers the new one then.
pub(super) async fn held(client: &Client) -> anyhow::Result<Held> {
    let path = file(client.url())?;
    let remembered = match std::fs::read(&path) {
        Ok(bytes) => {
            let known: Remembered = serde_json::from_slice(&bytes)
                .with_context(|| format!("{}: remove it to begin anew", path.display()))?;
            Some(known)
        }
        Err(_) => None,
    };
    let note = client.text("audit/checkpoint").await?;
    let now = SignedCheckpoint::parse(&note).context("the server's checkpoint")?;
    let keys = keys(client).await?;
    let (key, before) = match &remembered {
        None => {
            let signer = keys.iter().rev().find(|(key, _)| now.is_signed_by(key));
            let (key, _) =
                signer.context("the server's checkpoint is signed by none of its keys")?;
            (key.clone(), None)
        }
        Some(known) => {
            let old = SignedCheckpoint::parse(&known.checkpoint).context("what is remembered")?;
            let key = VerifyingKey::parse(&known.key).context("what is remembered")?;
            let trusted = believed(key, &keys);
            let size = old.checkpoint().size;
            let proof = consistency(client, size, now.checkpoint().size).await?;
            hold(&old, &now, &trusted, &proof).map_err(|breach| CliError {
                code: BROKEN,
                message: format!(
                    "{} IS NOT THE LOG THAT WAS SEEN BEFORE: {breach}\n  what it signed before is kept in {}",
                    client.url(),
                    path.display()
                ),
                problem: None,
            })?;
            let signer = trusted.into_iter().rev().find(|key| now.is_signed_by(key));
            (signer.context("nobody signed it")?, Some(size))
        }
    };
    let known = Remembered {
        server: client.url().to_owned(),
        checkpoint: now.note().to_owned(),
        key: key.to_string(),
    };
    keep(&path, &serde_json::to_vec_pretty(&known)?)?;
    Ok(Held { checkpoint: now, key, before })
}

/// The keys that one is to believe: the known one, and those that it handed over to.
fn believed(known: VerifyingKey, keys: &[(VerifyingKey, Option<Handover>)]) -> Vec<VerifyingKey> {
    let mut trusted = vec![known];
    for (key, handover) in keys {
        let Some(handover) = handover else { continue };
        let proven = trusted.iter().any(|from| handover.from(from).as_ref() == Some(key));
        if proven && !trusted.contains(key) {
            trusted.push(key.clone());
        }
    }
    trusted
}

async fn keys(client: &Client) -> anyhow::Result<Vec<(VerifyingKey, Option<Handover>)>> {
    #[derive(Deserialize)]
    struct Item {
        key: String,
        handover: Option<Handover>,
    }
    let mut answer = client.get("audit/keys").await?;
    let items: Vec<Item> = serde_json::from_value(answer["items"].take())?;
    items.into_iter().map(|item| Ok((VerifyingKey::parse(&item.key)?, item.handover))).collect()
}

/// The server's proof; an empty one where there can be none, which then proves nothing.
async fn consistency(client: &Client, from: u64, to: u64) -> anyhow::Result<Vec<Hash>> {
    if from >= to {
        return Ok(vec![]);
    }
    let answer = client.get(&format!("audit/proof/consistency?from={from}&to={to}")).await?;
    hashes(&answer["hashes"])
}

/// Hashes in hexadecimal digits.
pub(super) fn hashes(value: &serde_json::Value) -> anyhow::Result<Vec<Hash>> {
    let hashes = value.as_array().context("a proof without hashes")?;
    let hash = |value: &serde_json::Value| {
        let bytes = hex::decode(value.as_str()?).ok()?;
        Hash::try_from(bytes).ok()
    };
    hashes.iter().map(|value| hash(value).context("a hash of a proof")).collect()
}

fn file(server: &str) -> anyhow::Result<PathBuf> {
    let dir = if let Some(dir) = std::env::var_os("XDG_STATE_HOME") {
        PathBuf::from(dir)
    } else {
        let home = std::env::var_os("HOME").context("HOME is not set: set XDG_STATE_HOME")?;
        PathBuf::from(home).join(".local/state")
    };
    let name = hex::encode(&Sha256::digest(server.as_bytes())[..12]);
    Ok(dir.join("paddock/checkpoints").join(format!("{name}.json")))
}

fn keep(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    crate::up::layout::write_private(path, bytes)
}
