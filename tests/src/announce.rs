//! Saying where one listens, by a file that appears whole.

use std::path::Path;

use serde_json::Value;

/// Writes `what` to `path`, whole or not at all.
pub fn announce(path: &Path, what: &Value) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, what.to_string())?;
    std::fs::rename(beside, path)
}

/// The secret in a file, without the line's end.
pub fn secret(path: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}
