use base64::Engine as _;
use serde_json::{Value, json};

use super::{Place, extend};
use crate::forge::{bare::Entry, rest::escaped};

/// A file or a directory within a directory (an item of `content-directory`).
pub(in crate::forge) fn content(at: &Place, reference: &str, entry: &Entry) -> Value {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    let path = entry.path.split('/').map(escaped).collect::<Vec<_>>().join("/");
    let kind = match (entry.kind.as_str(), entry.mode.as_str()) {
        ("tree", _) => "dir",
        (_, "120000") => "symlink",
        // Submodules too, in GitHub's lists.
        _ => "file",
    };
    let folder = if kind == "dir" { "trees" } else { "blobs" };
    let own = format!("{}/contents/{path}?ref={}", at.api, escaped(reference));
    let git = format!("{}/git/{folder}/{}", at.api, entry.sha);
    let html = format!("{}/blob/{}/{path}", at.html, escaped(reference));
    json!({
        "name": name, "path": entry.path, "sha": entry.sha, "size": entry.size, "type": kind,
        "url": own, "git_url": git, "html_url": html, "download_url": null,
        "_links": { "self": own, "git": git, "html": html },
    })
}

/// A file by itself (`content-file`, `content-symlink`).
pub(in crate::forge) fn file(at: &Place, reference: &str, entry: &Entry, bytes: &[u8]) -> Value {
    let mut body = content(at, reference, entry);
    let more = if body["type"] == "symlink" {
        json!({ "target": String::from_utf8_lossy(bytes) })
    } else {
        json!({ "encoding": "base64", "content": wrapped(bytes) })
    };
    extend(&mut body, more);
    body
}

/// Base64 in lines of sixty letters, as GitHub sends it.
fn wrapped(bytes: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line) + "\n");
    lines.collect()
}
