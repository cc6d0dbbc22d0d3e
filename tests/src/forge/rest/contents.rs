use axum::extract::Query;
use serde_json::Value;

use super::{Answered, Opened, Refusal, answers, ok, paging::Asked};

/// `GET /repos/{owner}/{name}/contents/{path}`
pub(in crate::forge) async fn contents(repo: Opened, Query(asked): Query<Asked>) -> Answered {
    let reference = match asked.get("ref").filter(|reference| !reference.is_empty()) {
        Some(reference) => reference.clone(),
        None => repo.bare.default_branch().await,
    };
    let commit = repo.bare.resolve(&reference).await;
    let commit = commit.ok_or_else(|| Refusal::no_commit(&reference))?;
    let path = repo.name("path").trim_matches('/');
    let entry = repo.bare.entry(&commit, path).await.ok_or_else(Refusal::not_found)?;
    let at = answers::Place::of(&repo.forge, &repo.repo);
    match entry.kind.as_str() {
        "tree" => {
            let entries = repo.bare.directory(&entry).await;
            let entries = entries.iter().map(|entry| answers::content(&at, &reference, entry));
            Ok(ok(&Value::from(entries.collect::<Vec<_>>())))
        }
        "blob" => {
            let bytes = repo.bare.blob(&entry.sha).await?;
            Ok(ok(&answers::file(&at, &reference, &entry, &bytes)))
        }
        // The sample repositories have no submodules.
        _ => Err(Refusal::not_found()),
    }
}
