use serde_json::{Value, json};

use super::{Described, extend, users::user};
use crate::forge::{
    Forge,
    bare::Size,
    state::{NOBODY, Pull},
};

/// A pull request in a list (`pull-request-simple`); `base` is the commit that it is to be merged into.
pub(in crate::forge) fn pull(
    forge: &Forge,
    described: &Described,
    pull: &Pull,
    base: &str,
) -> Value {
    let at = &described.at;
    let own = format!("{}/pulls/{}", at.api, pull.number);
    let issue = format!("{}/issues/{}", at.api, pull.number);
    let html = format!("{}/pull/{}", at.html, pull.number);
    let review_comment = format!("{}/pulls/comments{{/number}}", at.api);
    let statuses = format!("{}/statuses/{}", at.api, pull.head_sha);
    let side = |branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", at.owner), "ref": branch, "sha": sha,
            "user": user(forge, &at.owner), "repo": described.body(),
        })
    };
    let link = |to: &str| json!({ "href": to });
    json!({
        "id": pull.number, "node_id": format!("PR_{}", pull.number), "url": own, "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "issue_url": issue, "commits_url": format!("{own}/commits"),
        "review_comments_url": format!("{own}/comments"), "review_comment_url": review_comment,
        "comments_url": format!("{issue}/comments"), "statuses_url": statuses,
        "number": pull.number, "state": if pull.is_open() { "open" } else { "closed" },
        "locked": false, "active_lock_reason": null, "title": pull.title,
        "user": user(forge, NOBODY), "body": pull.body, "labels": [], "milestone": null,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at.as_ref().unwrap_or(&pull.created_at),
        "closed_at": pull.closed_at, "merged_at": pull.merged_at, "merge_commit_sha": null,
        "assignee": null, "assignees": [], "requested_reviewers": [], "requested_teams": [],
        "draft": pull.draft, "head": side(&pull.head, &pull.head_sha),
        "base": side(&pull.base, base),
        "_links": {
            "self": link(&own), "html": link(&html), "issue": link(&issue),
            "comments": link(&format!("{issue}/comments")),
            "review_comments": link(&format!("{own}/comments")),
            "review_comment": link(&review_comment),
            "commits": link(&format!("{own}/commits")), "statuses": link(&statuses),
        },
        "author_association": "OWNER", "auto_merge": null,
    })
}

/// A pull request by itself (`pull-request`).
pub(in crate::forge) fn whole_pull(
    forge: &Forge,
    short: Value,
    pull: &Pull,
    size: Size,
    merges: bool,
) -> Value {
    let is_merged = pull.merged_at.is_some();
    let state = match (is_merged, merges) {
        (true, _) => "unknown",
        (false, true) => "clean",
        (false, false) => "dirty",
    };
    let more = json!({
        "merged": is_merged, "mergeable": (!is_merged).then_some(merges),
        "rebaseable": (!is_merged).then_some(merges), "mergeable_state": state,
        "merged_by": is_merged.then(|| user(forge, NOBODY)), "comments": 0, "review_comments": 0,
        "maintainer_can_modify": false, "commits": size.commits, "additions": size.additions,
        "deletions": size.deletions, "changed_files": size.files,
    });
    let mut body = short;
    extend(&mut body, more);
    body
}
