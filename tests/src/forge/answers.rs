//! Answers in the form of GitHub's: every field that its schemas require.

use serde_json::{Value, json};

use super::{
    Forge,
    state::{Issue, Pull},
};

const NOBODY: &str = "octo-bot";

/// A user (`simple-user`).
pub(super) fn user(forge: &Forge, login: &str) -> Value {
    let api = format!("{}/api/v3/users/{login}", forge.url);
    let more = |path: &str| Value::from(format!("{api}/{path}"));
    json!({
        "login": login, "id": 1, "node_id": "U_1", "avatar_url": format!("{}/avatar", forge.url),
        "gravatar_id": "", "url": api, "html_url": format!("{}/{login}", forge.url),
        "followers_url": more("followers"), "following_url": more("following{/other_user}"),
        "gists_url": more("gists{/gist_id}"), "starred_url": more("starred{/owner}{/repo}"),
        "subscriptions_url": more("subscriptions"), "organizations_url": more("orgs"),
        "repos_url": more("repos"), "events_url": more("events{/privacy}"),
        "received_events_url": more("received_events"), "type": "User", "site_admin": false,
    })
}

/// The caller (`public-user`).
pub(super) fn caller(forge: &Forge) -> Value {
    let mut body = user(forge, NOBODY);
    let more = json!({
        "name": null, "company": null, "blog": null, "location": null, "email": null, "hireable": null,
        "bio": null, "public_repos": 1, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    });
    extend(&mut body, more);
    body
}

/// A repository (`full-repository`).
pub(super) fn repository(forge: &Forge, owner: &str, name: &str) -> Value {
    let api = format!("{}/api/v3/repos/{owner}/{name}", forge.url);
    let html = format!("{}/{owner}/{name}", forge.url);
    let mut body = json!({
        "id": 1, "node_id": "R_1", "name": name, "full_name": format!("{owner}/{name}"),
        "owner": user(forge, owner), "private": false, "html_url": html, "description": null,
        "fork": false, "url": api, "clone_url": format!("{html}.git"), "git_url": format!("{html}.git"),
        "ssh_url": format!("git@localhost:{owner}/{name}.git"), "svn_url": html, "mirror_url": null,
        "homepage": null, "language": null, "forks_count": 0, "forks": 0, "stargazers_count": 0,
        "watchers_count": 0, "watchers": 0, "size": 1, "default_branch": "main", "open_issues_count": 1,
        "open_issues": 1, "is_template": false, "topics": [], "has_issues": true, "has_projects": false,
        "has_wiki": false, "has_pages": false, "has_downloads": false, "has_discussions": false,
        "archived": false, "disabled": false, "visibility": "public", "license": null,
        "pushed_at": "2024-01-01T00:00:00Z", "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z", "network_count": 0, "subscribers_count": 0,
        "permissions": { "admin": false, "maintain": false, "push": true, "triage": true, "pull": true },
        "allow_rebase_merge": true, "allow_squash_merge": true, "allow_merge_commit": true,
    });
    let links = [
        "archive_url",
        "assignees_url",
        "blobs_url",
        "branches_url",
        "collaborators_url",
        "comments_url",
        "commits_url",
        "compare_url",
        "contents_url",
        "contributors_url",
        "deployments_url",
        "downloads_url",
        "events_url",
        "forks_url",
        "git_commits_url",
        "git_refs_url",
        "git_tags_url",
        "hooks_url",
        "issue_comment_url",
        "issue_events_url",
        "issues_url",
        "keys_url",
        "labels_url",
        "languages_url",
        "merges_url",
        "milestones_url",
        "notifications_url",
        "pulls_url",
        "releases_url",
        "stargazers_url",
        "statuses_url",
        "subscribers_url",
        "subscription_url",
        "tags_url",
        "teams_url",
        "trees_url",
    ];
    let links = links.map(|name| (name.to_owned(), Value::from(format!("{api}/{name}"))));
    extend(&mut body, Value::Object(links.into_iter().collect()));
    body
}

/// A branch (`short-branch`, and enough of `branch-with-protection`).
pub(super) fn branch(forge: &Forge, repo: &str, name: &str, sha: &str) -> Value {
    let api = format!("{}/api/v3/repos/{repo}", forge.url);
    json!({
        "name": name,
        "commit": { "sha": sha, "url": format!("{api}/commits/{sha}") },
        "protected": false,
    })
}

/// One branch (`branch-with-protection`).
pub(super) fn whole_branch(forge: &Forge, repo: &str, name: &str, sha: &str) -> Value {
    let api = format!("{}/api/v3/repos/{repo}", forge.url);
    let person =
        json!({ "name": NOBODY, "email": "bot@localhost", "date": "2024-01-01T00:00:00Z" });
    let commit = json!({
        "url": format!("{api}/commits/{sha}"), "sha": sha, "node_id": "C_1",
        "html_url": format!("{}/{repo}/commit/{sha}", forge.url),
        "comments_url": format!("{api}/commits/{sha}/comments"),
        "commit": {
            "url": format!("{api}/git/commits/{sha}"), "author": person, "committer": person,
            "message": "", "comment_count": 0,
            "tree": { "sha": sha, "url": format!("{api}/git/trees/{sha}") },
        },
        "author": user(forge, NOBODY), "committer": user(forge, NOBODY), "parents": [],
    });
    json!({
        "name": name, "commit": commit, "protected": false, "protection": { "enabled": false },
        "_links": { "html": format!("{}/{repo}/tree/{name}", forge.url), "self": format!("{api}/branches/{name}") },
        "protection_url": format!("{api}/branches/{name}/protection"),
    })
}

/// An issue (`issue`).
pub(super) fn issue(forge: &Forge, issue: &Issue) -> Value {
    let api = format!("{}/api/v3/repos/{}", forge.url, issue.repo);
    let own = format!("{api}/issues/{}", issue.number);
    json!({
        "id": issue.number, "node_id": "I_1", "url": own, "repository_url": api,
        "labels_url": format!("{own}/labels{{/name}}"), "comments_url": format!("{own}/comments"),
        "events_url": format!("{own}/events"),
        "html_url": format!("{}/{}/issues/{}", forge.url, issue.repo, issue.number),
        "number": issue.number, "state": "open", "title": issue.title, "body": issue.body,
        "user": user(forge, NOBODY), "labels": [], "assignee": null, "assignees": [], "milestone": null,
        "locked": false, "comments": 0, "closed_at": null, "created_at": issue.created_at,
        "updated_at": issue.created_at, "author_association": "OWNER",
    })
}

/// A pull request (`pull-request`).
pub(super) fn pull(forge: &Forge, pull: &Pull, head: &str, base: &str) -> Value {
    let api = format!("{}/api/v3/repos/{}", forge.url, pull.repo);
    let own = format!("{api}/pulls/{}", pull.number);
    let html = format!("{}/{}/pull/{}", forge.url, pull.repo, pull.number);
    let (owner, name) = pull.repo.split_once('/').unwrap_or_default();
    let side = |branch: &str, sha: &str| {
        json!({
            "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": user(forge, owner),
            "repo": repository(forge, owner, name),
        })
    };
    let link = |to: String| json!({ "href": to });
    json!({
        "id": pull.number, "node_id": "PR_1", "url": own, "html_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "issue_url": format!("{api}/issues/{}", pull.number), "commits_url": format!("{own}/commits"),
        "review_comments_url": format!("{own}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{api}/issues/{}/comments", pull.number),
        "statuses_url": format!("{api}/statuses/{head}"), "number": pull.number, "state": "open",
        "locked": false, "title": pull.title, "user": user(forge, NOBODY), "body": pull.body,
        "labels": [], "milestone": null, "created_at": pull.created_at, "updated_at": pull.created_at,
        "closed_at": null, "merged_at": null, "merge_commit_sha": null, "assignee": null,
        "assignees": [], "requested_reviewers": [], "requested_teams": [], "draft": pull.draft,
        "head": side(&pull.head, head), "base": side(&pull.base, base),
        "_links": {
            "self": link(own.clone()), "html": link(html),
            "issue": link(format!("{api}/issues/{}", pull.number)),
            "comments": link(format!("{api}/issues/{}/comments", pull.number)),
            "review_comments": link(format!("{own}/comments")),
            "review_comment": link(format!("{api}/pulls/comments{{/number}}")),
            "commits": link(format!("{own}/commits")),
            "statuses": link(format!("{api}/statuses/{head}")),
        },
        "author_association": "OWNER", "auto_merge": null, "merged": false, "mergeable": true,
        "rebaseable": true, "mergeable_state": "clean", "merged_by": null, "comments": 0,
        "review_comments": 0, "maintainer_can_modify": false, "commits": 1, "additions": 0,
        "deletions": 0, "changed_files": 1,
    })
}

fn extend(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}
