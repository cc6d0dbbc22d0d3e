use axum::extract::Query;
use serde_json::Value;

use super::{
    Answered, Opened, Refusal, answers, ok,
    paging::{Asked, Page},
};
use crate::forge::state::{Issue, Pull};

/// Pull requests are issues too.
enum Any {
    Issue(Issue),
    Pull(Pull),
}

impl Any {
    fn number(&self) -> u64 {
        match self {
            Self::Issue(issue) => issue.number,
            Self::Pull(pull) => pull.number,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Issue(issue) => !issue.closed,
            Self::Pull(pull) => pull.is_open(),
        }
    }
}

async fn all(repo: &Opened) -> Result<Vec<Any>, Refusal> {
    let name = repo.repo.full_name();
    let pulls = repo.forge.pulls_of(&repo.repo, &repo.bare).await?;
    let issues = repo.forge.kept().issues.into_iter().filter(|issue| issue.repo == name);
    let mut all: Vec<Any> =
        issues.map(Any::Issue).chain(pulls.into_iter().map(Any::Pull)).collect();
    all.sort_by_key(|any| std::cmp::Reverse(any.number()));
    Ok(all)
}

fn described(repo: &Opened, any: &Any) -> Value {
    let at = answers::Place::of(&repo.forge, &repo.repo);
    match any {
        Any::Issue(issue) => answers::issue(&repo.forge, &at, issue),
        Any::Pull(pull) => answers::pull_as_issue(&repo.forge, &at, pull),
    }
}

/// `GET /repos/{owner}/{name}/issues`
pub(in crate::forge) async fn issues(repo: Opened, Query(asked): Query<Asked>) -> Answered {
    let state = asked.get("state").map_or("open", String::as_str);
    let mut all = all(&repo).await?;
    all.retain(|any| state == "all" || any.is_open() == (state == "open"));
    let at = answers::Place::of(&repo.forge, &repo.repo);
    let page = Page::cut(&format!("{}/issues", at.api), &asked, all);
    Ok(page.answer(page.items().iter().map(|any| described(&repo, any)).collect()))
}

/// `GET /repos/{owner}/{name}/issues/{number}`
pub(in crate::forge) async fn issue(repo: Opened) -> Answered {
    let number = repo.number()?;
    let all = all(&repo).await?;
    let found = all.iter().find(|any| any.number() == number);
    Ok(ok(&described(&repo, found.ok_or_else(Refusal::not_found)?)))
}
