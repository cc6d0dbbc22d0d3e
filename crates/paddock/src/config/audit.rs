//! What the log is signed with.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::{Secret, Settings, read_secret};

/// What checkpoints are signed with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AuditKeys {
    /// The public half, as verifiers name it.
    pub(crate) key: String,
    secret: Secret,
    previous: Option<Secret>,
    memory_file: Option<PathBuf>,
}

impl AuditKeys {
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(path) = &settings.audit_key_file else { return Ok(None) };
        let read = |path: &PathBuf| -> anyhow::Result<(Secret, String)> {
            let secret = read_secret(path)?;
            let key = audit::SigningKey::parse(secret.expose());
            let key = key.with_context(|| path.display().to_string())?;
            Ok((secret, key.verifying().to_string()))
        };
        let (secret, key) = read(path)?;
        let previous = settings.audit_previous_key_file.as_ref().map(read).transpose()?;
        if let Some((_, before)) = &previous
            && before.split('+').next() != key.split('+').next()
        {
            bail!(
                "the keys of audit_key_file and audit_previous_key_file are of logs with different names"
            );
        }
        let previous = previous.map(|(secret, _)| secret);
        Ok(Some(Self { key, secret, previous, memory_file: settings.audit_memory_file.clone() }))
    }

    /// What the signer signs with.
    pub(crate) fn keys(&self) -> anyhow::Result<commands::audit::Keys> {
        let previous = self.previous.as_ref().map(|key| audit::SigningKey::parse(key.expose()));
        Ok(commands::audit::Keys {
            key: audit::SigningKey::parse(self.secret.expose())?,
            previous: previous.transpose()?,
            memory: self.memory_file.as_deref().map(commands::audit::Memory::at),
        })
    }
}
