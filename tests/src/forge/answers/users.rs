use serde_json::{Value, json};

use super::extend;
use crate::forge::{Forge, state::NOBODY};

/// A user (`simple-user`).
pub(super) fn user(forge: &Forge, login: &str) -> Value {
    let api = format!("{}/users/{login}", forge.api_url());
    let more = |path: &str| Value::from(format!("{api}/{path}"));
    json!({
        "login": login, "id": 1, "node_id": "U_1", "avatar_url": format!("{}/{login}.png", forge.url),
        "gravatar_id": "", "url": api, "html_url": format!("{}/{login}", forge.url),
        "followers_url": more("followers"), "following_url": more("following{/other_user}"),
        "gists_url": more("gists{/gist_id}"), "starred_url": more("starred{/owner}{/repo}"),
        "subscriptions_url": more("subscriptions"), "organizations_url": more("orgs"),
        "repos_url": more("repos"), "events_url": more("events{/privacy}"),
        "received_events_url": more("received_events"), "type": "User",
        "user_view_type": "public", "site_admin": false,
    })
}

/// The caller (`public-user`).
pub(in crate::forge) fn caller(forge: &Forge) -> Value {
    let mut body = user(forge, NOBODY);
    let more = json!({
        "name": null, "company": null, "blog": null, "location": null, "email": null,
        "hireable": null, "bio": null, "public_repos": 1, "public_gists": 0, "followers": 0,
        "following": 0, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    });
    extend(&mut body, more);
    body
}
