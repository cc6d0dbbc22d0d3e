use serde_json::{Value, json};

use super::{Place, users::user};
use crate::forge::{
    Forge,
    bare::{Commit, Person},
    state::NOBODY,
};

/// A branch in a list (`short-branch`).
pub(in crate::forge) fn short_branch(at: &Place, name: &str, sha: &str) -> Value {
    json!({
        "name": name,
        "commit": { "sha": sha, "url": format!("{}/commits/{sha}", at.api) },
        "protected": false,
    })
}

/// One branch (`branch-with-protection`).
pub(in crate::forge) fn branch(forge: &Forge, at: &Place, name: &str, of: &Commit) -> Value {
    let own = format!("{}/branches/{name}", at.api);
    json!({
        "name": name, "commit": commit(forge, at, of), "protected": false,
        "protection": {
            "enabled": false,
            "required_status_checks": { "enforcement_level": "off", "contexts": [], "checks": [] },
        },
        "_links": { "html": format!("{}/tree/{name}", at.html), "self": own },
        "protection_url": format!("{own}/protection"),
    })
}

/// A reference (`git-ref`).
pub(in crate::forge) fn reference(at: &Place, name: &str, sha: &str) -> Value {
    json!({
        "ref": format!("refs/{name}"), "node_id": "REF_1", "url": format!("{}/git/refs/{name}", at.api),
        "object": { "type": "commit", "sha": sha, "url": format!("{}/git/commits/{sha}", at.api) },
    })
}

/// A commit (`commit`).
fn commit(forge: &Forge, at: &Place, of: &Commit) -> Value {
    let sha = &of.sha;
    let own = format!("{}/commits/{sha}", at.api);
    let person = |person: &Person| json!({ "name": person.name, "email": person.email, "date": person.date });
    let parents = of.parents.iter().map(|parent| {
        json!({
            "sha": parent, "url": format!("{}/commits/{parent}", at.api),
            "html_url": format!("{}/commit/{parent}", at.html),
        })
    });
    json!({
        "url": own, "sha": sha, "node_id": "C_1", "html_url": format!("{}/commit/{sha}", at.html),
        "comments_url": format!("{own}/comments"),
        "commit": {
            "url": format!("{}/git/commits/{sha}", at.api), "author": person(&of.author),
            "committer": person(&of.committer), "message": of.message, "comment_count": 0,
            "tree": { "sha": of.tree, "url": format!("{}/git/trees/{}", at.api, of.tree) },
            "verification": {
                "verified": false, "reason": "unsigned", "signature": null, "payload": null,
                "verified_at": null,
            },
        },
        "author": user(forge, NOBODY), "committer": user(forge, NOBODY),
        "parents": parents.collect::<Vec<_>>(),
    })
}
