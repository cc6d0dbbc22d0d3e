use axum::{Json, extract::State};
use domain::{access::Action, ids::CredentialId};
use projections::Cursor;

pub(crate) use super::body::CredentialBody;
use crate::{
    access::{Allowance, Caller},
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params},
    runs::RunBody,
    state::AppState,
};

const LIST: &str = "credentials";

/// Lists the credentials that the caller may see, the newest first, the revoked ones too. Never a value.
#[utoipa::path(get, path = "/api/v1/credentials", operation_id = "listCredentials", tag = "credentials",
    params(ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<CredentialBody>)))]
pub(crate) async fn list_credentials(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Answer<Json<ListBody<CredentialBody>>> {
    let allowance = Allowance::of(&state, &caller);
    let before = query.cursor.as_deref().map(|text| Cursor::key::<CredentialId>(LIST, text));
    let before = before.transpose()?;
    let limit = usize::try_from(query.limit()?).unwrap_or(usize::MAX);
    // They are read from the log itself: there is nothing to wait for.
    let all = state.commands.credentials().await?;
    let mut seen: Vec<_> = all
        .iter()
        .filter(|known| before.is_none_or(|before| known.id < before))
        .filter(|known| allowance.may(Action::ReadCredential, &known.resource()))
        .take(limit + 1)
        .cloned()
        .collect();
    let more = seen.len() > limit;
    seen.truncate(limit);
    let next = seen.last().filter(|_| more).map(|last| Cursor::after(LIST, last.id).encode());
    Ok(Json(ListBody { items: CredentialBody::list(&state, &allowance, &seen).await?, next }))
}

/// Answers a credential: its state, never its value.
#[utoipa::path(get, path = "/api/v1/credentials/{id}", operation_id = "getCredential", tag = "credentials",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The credential", body = CredentialBody)))]
pub(crate) async fn get_credential(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<CredentialId>,
) -> Answer<Json<CredentialBody>> {
    let allowance = Allowance::of(&state, &caller);
    let known = state.commands.known_credential(id).await?;
    let known = known.ok_or_else(|| Problem::not_found("credential"))?;
    let mut one = CredentialBody::list(&state, &allowance, &[known]).await?;
    Ok(Json(one.remove(0)))
}

/// Lists the runs that used a credential, of sessions that the caller may see; the newest first.
#[utoipa::path(get, path = "/api/v1/credentials/{id}/runs", operation_id = "listCredentialRuns", tag = "credentials",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<RunBody>)))]
pub(crate) async fn list_credential_runs(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<CredentialId>,
    Params(query): Params<ListQuery>,
) -> Answer<Json<ListBody<RunBody>>> {
    state.at_least(query.at_least.as_deref()).await?;
    let allowance = Allowance::of(&state, &caller);
    let (sight, limit) = (allowance.sight(), query.limit()?);
    let page = state.views.runs_using(&sight, id, query.cursor.as_deref(), limit).await??;
    let items = RunBody::list(&state, &allowance, page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}
