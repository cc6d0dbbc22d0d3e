use serde_json::{Value, json};

use super::{Place, extend, users::user};
use crate::forge::{Forge, Rights, bare::Bare, state::Repository};

/// The addresses that the API has for a repository, by their names without `_url`, with what follows the
/// repository's own.
const ADDRESSES: [(&str, &str); 36] = [
    ("archive", "{archive_format}{/ref}"),
    ("assignees", "assignees{/user}"),
    ("blobs", "git/blobs{/sha}"),
    ("branches", "branches{/branch}"),
    ("collaborators", "collaborators{/collaborator}"),
    ("comments", "comments{/number}"),
    ("commits", "commits{/sha}"),
    ("compare", "compare/{base}...{head}"),
    ("contents", "contents/{+path}"),
    ("contributors", "contributors"),
    ("deployments", "deployments"),
    ("downloads", "downloads"),
    ("events", "events"),
    ("forks", "forks"),
    ("git_commits", "git/commits{/sha}"),
    ("git_refs", "git/refs{/sha}"),
    ("git_tags", "git/tags{/sha}"),
    ("hooks", "hooks"),
    ("issue_comment", "issues/comments{/number}"),
    ("issue_events", "issues/events{/number}"),
    ("issues", "issues{/number}"),
    ("keys", "keys{/key_id}"),
    ("labels", "labels{/name}"),
    ("languages", "languages"),
    ("merges", "merges"),
    ("milestones", "milestones{/number}"),
    ("notifications", "notifications{?since,all,participating}"),
    ("pulls", "pulls{/number}"),
    ("releases", "releases{/id}"),
    ("stargazers", "stargazers"),
    ("statuses", "statuses/{sha}"),
    ("subscribers", "subscribers"),
    ("subscription", "subscription"),
    ("tags", "tags"),
    ("teams", "teams"),
    ("trees", "git/trees{/sha}"),
];

/// A repository, described once for all answers in which it stands.
pub(in crate::forge) struct Described {
    pub(in crate::forge) at: Place,
    body: Value,
}

impl Described {
    /// Describes a repository (`repository`).
    pub(in crate::forge) async fn of(forge: &Forge, repo: &Repository, bare: &Bare) -> Self {
        let at = Place::of(forge, repo);
        let name = repo.full_name();
        let kept = forge.kept();
        let issues = kept.issues.iter().filter(|issue| issue.repo == name && !issue.closed).count();
        let pulls = kept.pulls.iter().filter(|pull| pull.repo == name && pull.is_open()).count();
        let open = issues + pulls;
        let visibility = if repo.private { "private" } else { "public" };
        let mut body = json!({
            "id": repo.id, "node_id": format!("R_{}", repo.id), "name": repo.name,
            "full_name": name, "owner": user(forge, &repo.owner), "private": repo.private,
            "html_url": at.html, "description": null, "fork": false, "url": at.api,
            "clone_url": format!("{}.git", at.html), "git_url": format!("{}.git", at.html),
            "ssh_url": format!("git@localhost:{name}.git"), "svn_url": at.html, "mirror_url": null,
            "homepage": null, "language": null, "forks_count": 0, "forks": 0,
            "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "size": 1,
            "default_branch": bare.default_branch().await, "open_issues_count": open,
            "open_issues": open, "is_template": false, "topics": [], "has_issues": true,
            "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": false,
            "has_discussions": false, "archived": false, "disabled": false,
            "visibility": visibility, "license": null, "pushed_at": repo.created_at,
            "created_at": repo.created_at, "updated_at": repo.created_at,
            "allow_forking": false, "web_commit_signoff_required": false,
        });
        for (name, path) in ADDRESSES {
            body[format!("{name}_url")] = Value::from(format!("{}/{path}", at.api));
        }
        Self { at, body }
    }

    /// The repository, as it stands within another answer.
    pub(super) fn body(&self) -> &Value {
        &self.body
    }
}

/// A repository by itself (`full-repository`), with what the caller may do to it.
pub(in crate::forge) fn full_repository(described: &Described, rights: Option<Rights>) -> Value {
    let push = rights == Some(Rights::Write);
    let mut body = described.body.clone();
    let more = json!({
        "network_count": 0, "subscribers_count": 0,
        "permissions": {
            "admin": false, "maintain": false, "push": push, "triage": push, "pull": true,
        },
        "allow_rebase_merge": true, "allow_squash_merge": true, "allow_merge_commit": true,
        "allow_auto_merge": false, "delete_branch_on_merge": false, "temp_clone_token": "",
    });
    extend(&mut body, more);
    body
}
