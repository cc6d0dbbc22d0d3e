//! Answers in the form of GitHub's: every field that its schemas require.

mod commits;
mod content;
mod issues;
mod pulls;
mod repositories;
mod users;

use serde_json::Value;

pub(super) use self::{
    commits::{branch, reference, short_branch},
    content::{content, file},
    issues::{issue, pull_as_issue},
    pulls::{pull, whole_pull},
    repositories::{Described, full_repository},
    users::caller,
};
use super::{Forge, state::Repository};

/// Where something of a repository is, for programs and for people.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its address in the API.
    pub(super) api: String,
    /// Its page.
    pub(super) html: String,
    pub(super) owner: String,
}

impl Place {
    pub(super) fn of(forge: &Forge, repo: &Repository) -> Self {
        let name = repo.full_name();
        Self {
            api: format!("{}/repos/{name}", forge.api_url()),
            html: format!("{}/{name}", forge.url),
            owner: repo.owner.clone(),
        }
    }
}

fn extend(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}
