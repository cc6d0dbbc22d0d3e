use serde_json::{Value, json};

use super::{Place, users::user};
use crate::forge::{
    Forge,
    state::{Issue, NOBODY, Pull},
};

/// What an issue and a pull request have in common.
struct Common<'a> {
    number: u64,
    title: &'a str,
    body: Option<&'a str>,
    created_at: &'a str,
    updated_at: &'a str,
    closed_at: Option<&'a str>,
    page: &'a str,
}

/// An issue (`issue`).
pub(in crate::forge) fn issue(forge: &Forge, at: &Place, issue: &Issue) -> Value {
    let closed_at = issue.closed.then_some(issue.created_at.as_str());
    let mut body = common(
        forge,
        at,
        &Common {
            number: issue.number,
            title: &issue.title,
            body: Some(&issue.body),
            created_at: &issue.created_at,
            updated_at: &issue.created_at,
            closed_at,
            page: "issues",
        },
    );
    body["state_reason"] = if issue.closed { "completed".into() } else { Value::Null };
    body
}

/// A pull request in a list of issues (`issue`).
pub(in crate::forge) fn pull_as_issue(forge: &Forge, at: &Place, pull: &Pull) -> Value {
    let mut body = common(
        forge,
        at,
        &Common {
            number: pull.number,
            title: &pull.title,
            body: pull.body.as_deref(),
            created_at: &pull.created_at,
            updated_at: pull.updated_at.as_deref().unwrap_or(&pull.created_at),
            closed_at: pull.closed_at.as_deref(),
            page: "pull",
        },
    );
    let html = format!("{}/pull/{}", at.html, pull.number);
    body["draft"] = pull.draft.into();
    body["pull_request"] = json!({
        "url": format!("{}/pulls/{}", at.api, pull.number), "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "merged_at": pull.merged_at,
    });
    body
}

fn common(forge: &Forge, at: &Place, it: &Common<'_>) -> Value {
    let own = format!("{}/issues/{}", at.api, it.number);
    json!({
        "id": it.number, "node_id": format!("I_{}", it.number), "url": own,
        "repository_url": at.api, "labels_url": format!("{own}/labels{{/name}}"),
        "comments_url": format!("{own}/comments"), "events_url": format!("{own}/events"),
        "timeline_url": format!("{own}/timeline"),
        "html_url": format!("{}/{}/{}", at.html, it.page, it.number), "number": it.number,
        "state": if it.closed_at.is_some() { "closed" } else { "open" }, "title": it.title,
        "body": it.body, "user": user(forge, NOBODY), "labels": [], "assignee": null,
        "assignees": [], "milestone": null, "locked": false, "active_lock_reason": null,
        "comments": 0, "closed_at": it.closed_at, "created_at": it.created_at,
        "updated_at": it.updated_at, "author_association": "OWNER",
    })
}
