//! Subjects and resources as people write them.

use domain::{
    access::{Resource, Subject},
    ids::{RunId, UserId},
};
use uuid::Uuid;

use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

/// The most characters of a group's or a cluster user's name.
const MAX_NAME: usize = 253;

/// Whom a text names.
pub(super) async fn subject(state: &AppState, field: &str, text: &str) -> Answer<Subject> {
    const FORM: &str = "is user:<id>, group:<name> or kubernetes:<user name>";
    let (kind, name) = text.split_once(':').ok_or_else(|| Problem::field(field, FORM))?;
    let is_name = !name.trim().is_empty()
        && name.chars().count() <= MAX_NAME
        && !name.chars().any(char::is_control);
    match kind {
        "user" => person(state, name).await?.map(Subject::User).ok_or_else(|| {
            let words = "nobody of that id or e-mail address has signed in here, or several have";
            Problem::field(field, words)
        }),
        "group" if is_name => Ok(Subject::Group(name.to_owned())),
        "kubernetes" if is_name => {
            // The name is kept beside the log, by the id that the log knows.
            state.commands.kubernetes_actor(name).await?;
            Ok(Subject::Kubernetes(commands::kubernetes_id(name)))
        }
        _ => Err(Problem::field(field, FORM)),
    }
}

/// The one person with that id, or whose provider says that address is theirs.
async fn person(state: &AppState, name: &str) -> Answer<Option<UserId>> {
    let id: Option<Uuid> = name.parse().ok();
    let found = sqlx::query_scalar!(
        "select id from runtime.person where id = $1 or ($1::uuid is null and lower(email) = lower($2))
         limit 2",
        id,
        name,
    )
    .fetch_all(state.pool())
    .await?;
    Ok(match found[..] {
        [id] => Some(UserId(id)),
        _ => None,
    })
}

/// What a text is about; none where there is no such thing.
pub(super) async fn resource(
    state: &AppState,
    text: &str,
) -> Answer<(&'static str, Option<Resource>)> {
    const FORM: &str = "is installation, repository:<owner>/<name>, session:<id>, run:<id> or \
                        credential:<id>";
    let malformed = || Problem::malformed("resource", FORM);
    match text.split_once(':') {
        None if text == "installation" => Ok(("page", Some(Resource::Installation))),
        Some(("repository", name)) => {
            let repo = name.parse().map_err(|error| Problem::malformed("resource", error))?;
            Ok(("repository", Some(Resource::Repository(repo))))
        }
        Some(("run", id)) => {
            let id: RunId = id.parse().map_err(|_| malformed())?;
            Ok(("run", state.authority.run(id).await?))
        }
        Some(("session" | "credential", _)) => {
            let scope = text.parse().map_err(|_| malformed())?;
            let what = if text.starts_with("session") { "session" } else { "credential" };
            Ok((what, crate::access::resource_of(state, scope).await?))
        }
        Some(_) | None => Err(malformed()),
    }
}
