use axum::extract::Query;

use super::{
    Answered, Opened, Refusal, answers, ok,
    paging::{Asked, Page},
};

/// `GET /repos/{owner}/{name}`
pub(in crate::forge) async fn repository(repo: Opened) -> Answered {
    let described = answers::Described::of(&repo.forge, &repo.repo, &repo.bare).await;
    Ok(ok(&answers::full_repository(&described, Some(repo.rights))))
}

/// `GET /repos/{owner}/{name}/branches`
pub(in crate::forge) async fn branches(repo: Opened, Query(asked): Query<Asked>) -> Answered {
    let at = answers::Place::of(&repo.forge, &repo.repo);
    let page = Page::cut(&format!("{}/branches", at.api), &asked, repo.bare.branches().await?);
    let branches = page.items().iter().map(|(name, sha)| answers::short_branch(&at, name, sha));
    Ok(page.answer(branches.collect()))
}

/// `GET /repos/{owner}/{name}/branches/{branch}`
pub(in crate::forge) async fn branch(repo: Opened) -> Answered {
    let name = repo.name("branch");
    let sha = repo.bare.branch(name).await.ok_or_else(Refusal::branch_not_found)?;
    let commit = repo.bare.commit(&sha).await?;
    let at = answers::Place::of(&repo.forge, &repo.repo);
    Ok(ok(&answers::branch(&repo.forge, &at, name, &commit)))
}

/// `GET /repos/{owner}/{name}/git/ref/{ref}`
pub(in crate::forge) async fn reference(repo: Opened) -> Answered {
    let name = repo.name("reference");
    let known = name.starts_with("heads/") || name.starts_with("tags/");
    let sha = if known { repo.bare.reference(name).await } else { None };
    let sha = sha.ok_or_else(Refusal::not_found)?;
    let at = answers::Place::of(&repo.forge, &repo.repo);
    Ok(ok(&answers::reference(&at, name, &sha)))
}
