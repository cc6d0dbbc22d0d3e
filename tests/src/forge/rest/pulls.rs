use axum::{body::Bytes, extract::Query};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Answered, Opened, Refusal, answers, created, ok,
    paging::{Asked, Page},
};
use crate::forge::{
    bare::Size,
    pulls::{NewPull, NoPull},
    state::{Pull, now},
};

/// The fields of a request's body, each taken with the type that GitHub wants.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(body: &Bytes) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => Err(Refusal::invalid_request(&format!("{other} is not an object."))),
            Err(_) => Err(Refusal::not_json()),
        }
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str, kind: &str) -> Result<Option<T>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone()).map(Some).map_err(|_| {
                let what = format!("For 'properties/{name}', {value} is not a {kind}.");
                Refusal::invalid_request(&what)
            }),
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.take(name, "string")
    }
}

/// `POST /repos/{owner}/{name}/pulls`
pub(in crate::forge) async fn create_pull(repo: Opened, body: Bytes) -> Answered {
    repo.to_write()?;
    let mut fields = Fields::of(&body)?;
    let (base, head) = (fields.text("base")?, fields.text("head")?);
    let (Some(base), Some(head)) = (&base, &head) else {
        let missing = [("base", &base), ("head", &head)].into_iter().filter(|(_, it)| it.is_none());
        let missing: Vec<String> = missing.map(|(name, _)| format!("\"{name}\"")).collect();
        let were = if missing.len() == 1 { "wasn't" } else { "weren't" };
        return Err(Refusal::invalid_request(&format!("{} {were} supplied.", missing.join(", "))));
    };
    let title = fields.text("title")?.filter(|title| !title.trim().is_empty());
    let (label, branch) = (head, branch_of(&repo, head));
    let new = NewPull {
        title: title.ok_or_else(|| Refusal::invalid_field("missing_field", "title"))?,
        body: fields.text("body")?,
        head: branch.ok_or_else(|| Refusal::invalid_field("invalid", "head"))?.to_owned(),
        base: base.clone(),
        draft: fields.take("draft", "boolean")?.unwrap_or(false),
    };
    let owner = &repo.repo.owner;
    match repo.forge.open_pull(&repo.repo, &repo.bare, new).await {
        Ok(pull) => Ok(created(&whole(&repo, &pull).await?)),
        Err(NoPull::NoBranch(field)) => Err(Refusal::invalid_field("invalid", field)),
        Err(NoPull::NoCommits) => {
            Err(Refusal::custom(&format!("No commits between {base} and {label}")))
        }
        Err(NoPull::Exists) => {
            let branch = branch.unwrap_or_default();
            let words = format!("A pull request already exists for {owner}:{branch}.");
            Err(Refusal::custom(&words))
        }
        Err(NoPull::Failed(error)) => Err(error.into()),
    }
}

/// The branch in `branch` or `owner:branch`; there are no forks, so the owner is the repository's.
fn branch_of<'a>(repo: &Opened, head: &'a str) -> Option<&'a str> {
    match head.split_once(':') {
        None => Some(head),
        Some((owner, branch)) => owner.eq_ignore_ascii_case(&repo.repo.owner).then_some(branch),
    }
}

/// `GET /repos/{owner}/{name}/pulls`
pub(in crate::forge) async fn pulls(repo: Opened, Query(asked): Query<Asked>) -> Answered {
    let state = asked.get("state").map_or("open", String::as_str);
    let mut pulls = repo.forge.pulls_of(&repo.repo, &repo.bare).await?;
    pulls.retain(|pull| state == "all" || pull.is_open() == (state == "open"));
    // Like GitHub, a head without its owner is no filter.
    if let Some(head) = asked.get("head").filter(|head| head.contains(':')) {
        pulls.retain(|pull| branch_of(&repo, head) == Some(&pull.head));
    }
    if let Some(base) = asked.get("base") {
        pulls.retain(|pull| pull.base == *base);
    }
    if asked.get("direction").is_some_and(|direction| direction == "asc") {
        pulls.reverse();
    }
    let described = answers::Described::of(&repo.forge, &repo.repo, &repo.bare).await;
    let page = Page::cut(&format!("{}/pulls", described.at.api), &asked, pulls);
    let mut all = Vec::new();
    for pull in page.items() {
        let base = repo.bare.branch(&pull.base).await.unwrap_or_default();
        all.push(answers::pull(&repo.forge, &described, pull, &base));
    }
    Ok(page.answer(all))
}

/// `GET /repos/{owner}/{name}/pulls/{number}`
pub(in crate::forge) async fn pull(repo: Opened) -> Answered {
    let number = repo.number()?;
    let found = repo.forge.pull(&repo.repo, &repo.bare, number).await?;
    Ok(ok(&whole(&repo, &found.ok_or_else(Refusal::not_found)?).await?))
}

/// `PATCH /repos/{owner}/{name}/pulls/{number}`
pub(in crate::forge) async fn change_pull(repo: Opened, body: Bytes) -> Answered {
    repo.to_write()?;
    let found = repo.forge.pull(&repo.repo, &repo.bare, repo.number()?).await?;
    let mut pull = found.ok_or_else(Refusal::not_found)?;
    let mut fields = Fields::of(&body)?;
    let (title, text) = (fields.text("title")?, fields.text("body")?);
    let state = fields.text("state")?;
    if !matches!(state.as_deref(), None | Some("open" | "closed")) {
        return Err(Refusal::invalid_field("invalid", "state"));
    }
    repo.forge.change_pull(&mut pull, |pull| {
        if let Some(title) = title {
            pull.title = title;
        }
        if text.is_some() {
            pull.body = text;
        }
        match state.as_deref() {
            Some("closed") if pull.is_open() => pull.closed_at = Some(now()),
            Some("open") if pull.merged_at.is_none() => pull.closed_at = None,
            _ => {}
        }
    })?;
    Ok(ok(&whole(&repo, &pull).await?))
}

/// All that is said of one pull request.
async fn whole(repo: &Opened, pull: &Pull) -> Result<Value, Refusal> {
    let described = answers::Described::of(&repo.forge, &repo.repo, &repo.bare).await;
    let base = repo.bare.branch(&pull.base).await.unwrap_or_default();
    let counted = !base.is_empty() && !pull.head_sha.is_empty();
    let size = if counted { repo.bare.size(&base, &pull.head_sha).await? } else { Size::default() };
    let merges = counted && repo.bare.merges(&base, &pull.head_sha).await;
    let short = answers::pull(&repo.forge, &described, pull, &base);
    Ok(answers::whole_pull(&repo.forge, short, pull, size, merges))
}
