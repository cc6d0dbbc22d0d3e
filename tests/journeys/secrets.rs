//! Canaries: the credentials are in nothing that is kept, and in nothing that an agent can see.

use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use serde_json::json;

use crate::support::Installation;

/// Every form in which a secret could stand in a file or a dump.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let base64 = |skip: usize| {
        // The middle of the encoding, whatever precedes the secret: three alignments.
        let bytes = [&b"\0\0\0"[..skip], secret.as_bytes()].concat();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        text[4..text.len() - 4].to_owned()
    };
    let url: String = secret
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    [secret.to_owned(), hex::encode(secret), url, base64(0), base64(1), base64(2)]
        .into_iter()
        .map(String::into_bytes)
        .collect()
}

pub(crate) fn holds(haystack: &[u8], secret: &str) -> bool {
    forms(secret).iter().any(|form| haystack.windows(form.len()).any(|window| window == form))
}

pub(crate) fn read_all(dir: &Path, skip: &[&str], into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if skip.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_all(&path, skip, into),
            Ok(kind) if kind.is_file() => {
                if let Ok(bytes) = std::fs::read(&path) {
                    into.push((path.display().to_string(), bytes));
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn dump(data: &Path) -> anyhow::Result<Vec<u8>> {
    let socket = data.join("postgres/socket");
    let output = std::process::Command::new("pg_dump")
        .args(["-U", "postgres", "-d", "paddock", "-h"])
        .arg(&socket)
        .output()?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

pub(crate) fn unpacked_bundles(data: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    read_all(&data.join("artifacts"), &[], &mut files);
    ensure!(!files.is_empty(), "no bundle was stored");
    files
        .into_iter()
        .map(|(name, bytes)| {
            let tar = zstd::decode_all(&bytes[..]).with_context(|| name.clone())?;
            Ok((name, tar))
        })
        .collect()
}

#[tokio::test]
async fn no_credential_is_kept_anywhere_and_none_enters_the_sandbox() -> anyhow::Result<()> {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let (forge, model) = (format!("fo+rge/{unique}=="), format!("mo+del/{unique}=="));
    let mut paddock =
        Installation::start_with_secrets(&[("forge", &forge), ("model", &model)]).await?;
    let session = paddock.session("Look everywhere").await?;
    let control = format!("control-{unique}");
    let body = json!({
        "prompt": format!("[scenario: read-secrets] {control}"), "linger_seconds": 600,
    });
    let run = paddock.run_with(&session, body).await?;
    paddock.wait_state(&run, "idle").await?;

    let identity = paddock.data().join("runs").join(&run).join("1/sidecar/identity");
    let identity = std::fs::read_to_string(identity)?;
    let token = std::fs::read_to_string(paddock.data().join("secrets/cli-token"))?;
    let secrets = [
        ("forge token", forge.as_str()),
        ("model key", &model),
        ("identity", identity.trim()),
        ("API token", token.trim()),
    ];

    // What the sandbox's processes have in their environment and arguments, seen from outside.
    let mut sandbox = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if mounts.contains("/run/paddock") && mounts.contains(&run) {
            for name in ["environ", "cmdline"] {
                let path = entry.path().join(name);
                sandbox
                    .push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
            }
        }
    }
    ensure!(sandbox.len() > 2, "no process of the sandbox was found");

    paddock.post(&format!("runs/{run}/finish"), serde_json::Value::Null).await?;
    paddock.wait_end(&run).await?;
    let output = serde_json::to_vec(&paddock.output(&run).await?)?;
    let dumped = dump(&paddock.data())?;
    ensure!(holds(&dumped, &control), "the control canary is not in the dump: the search is blind");
    ensure!(holds(&output, "agent:x:1000"), "the agent did not look");

    let mut kept = sandbox;
    kept.push(("the dump of PostgreSQL".to_owned(), dumped));
    kept.push(("the stored output".to_owned(), output));
    kept.extend(unpacked_bundles(&paddock.data())?);
    for dir in ["nats/data", "log", "egress"] {
        read_all(&paddock.data().join(dir), &[], &mut kept);
    }
    read_all(&paddock.data().join("runs"), &["identity"], &mut kept);
    for (what, secret) in secrets {
        for (place, bytes) in &kept {
            ensure!(!holds(bytes, secret), "the {what} is in {place}");
        }
    }
    paddock.down().await
}
