use axum::extract::State;
use commands::{Accepted, Caused, KnownCredential};
use domain::{
    credential::{Command, Kind},
    github::Repository,
    ids::{CredentialId, ValueId},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Place, SecretValue,
    register::{kind, repository, stored},
};
use crate::{
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, By, Id, Nothing},
    state::AppState,
};

/// What a credential is to be verified on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyOn {
    /// The repository, `owner/name`; the one of last time unless told otherwise.
    repo: Option<String>,
}

/// Another value for a credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewValue {
    /// The token, or the app's private key in PEM form. It is never answered.
    #[schema(value_type = String, format = "password", write_only)]
    value: SecretValue,
}

/// Asks the forge what a credential is good for. The answer comes when the forge has spoken, or cannot be reached.
#[utoipa::path(post, path = "/api/v1/credentials/{id}/verify", operation_id = "verifyCredential", tag = "credentials",
    params(("id" = Uuid, Path)), request_body = VerifyOn,
    responses((status = 202, description = "What came of it is in its state", body = CommandBody)))]
pub(crate) async fn verify_credential(
    State(state): State<AppState>,
    Id(id): Id<CredentialId>,
    asked: Asked<VerifyOn>,
) -> Answer<Done> {
    const NAME: &str = "credential.verify";
    let Asked { body, by, .. } = asked;
    if let Some(first) = by.answered(&state, NAME, Some(id.into())).await? {
        return Ok(Done::accepted(first));
    }
    let repo = repository(body.repo.as_deref())?;
    let known = known(&state, id).await?;
    let before = known.credential.checked.as_ref().and_then(|checked| checked.repo.clone());
    let checked = state.credentials.check(&known, repo.or(before)).await;
    let command = Command::Check(checked);
    Ok(Done::accepted(state.commands.credential(id, command, by.caused(vec![])).await?))
}

/// Gives a credential another value: the next request of every run that uses it carries that one.
#[utoipa::path(post, path = "/api/v1/credentials/{id}/rotate", operation_id = "rotateCredential", tag = "credentials",
    params(("id" = Uuid, Path)), request_body = NewValue,
    responses((status = 202, description = "The value counts", body = CommandBody)))]
pub(crate) async fn rotate_credential(
    State(state): State<AppState>,
    Id(id): Id<CredentialId>,
    asked: Asked<NewValue>,
) -> Answer<Done> {
    const NAME: &str = "credential.rotate";
    let Asked { body, by, .. } = asked;
    if let Some(first) = by.answered(&state, NAME, Some(id.into())).await? {
        return Ok(Done::accepted(first));
    }
    let before = known(&state, id).await?;
    by.matches(before.version)?;
    let app = match before.credential.registered.kind {
        Kind::App { app } => Some(app),
        Kind::Pat | Kind::ClassicPat => None,
    };
    let fits = kind(&state.credentials, app, &body.value);
    by.audited(&state, NAME, Some(id.into()), fits).await?;
    let value = ValueId(state.commands.context().id());
    let accepted = stored(&state, &by, id, value, &body.value, Command::Rotate { value }).await?;
    if !accepted.replayed {
        forget(&state, &before).await;
    }
    let repo = before.credential.checked.and_then(|checked| checked.repo);
    Ok(Done::accepted(verified(&state, &by, accepted, repo).await?))
}

/// Revokes a credential for good: nothing is done with it from now on, in no run.
#[utoipa::path(delete, path = "/api/v1/credentials/{id}", operation_id = "revokeCredential", tag = "credentials",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It is good for nothing any more", body = CommandBody)))]
pub(crate) async fn revoke_credential(
    State(state): State<AppState>,
    Id(id): Id<CredentialId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    let before = known(&state, id).await?;
    let accepted = state.commands.credential(id, Command::Revoke, asked.by.caused(vec![])).await?;
    forget(&state, &before).await;
    if let Err(error) = state.credentials.end_minted().await {
        tracing::warn!(%error, "tokens of a revoked key are ended later");
    }
    Ok(Done::accepted(accepted))
}

async fn known(state: &AppState, id: CredentialId) -> Answer<KnownCredential> {
    let known = state.commands.known_credential(id).await?;
    known.ok_or_else(|| Problem::not_found("credential"))
}

/// Lets the value go that counts no longer.
async fn forget(state: &AppState, before: &KnownCredential) {
    let place = Place::Value(before.id, before.credential.value);
    if let Err(error) = state.credentials.store.remove(place).await {
        tracing::warn!(%error, "a value that counts no longer stays in the secret store");
    }
}

/// Asks the forge about a value that has just come, and puts that on record. Whatever comes of it, the value counts.
pub(super) async fn verified(
    state: &AppState,
    by: &By,
    accepted: Accepted,
    repo: Option<Repository>,
) -> Answer<Accepted> {
    if accepted.replayed {
        return Ok(accepted);
    }
    let id = CredentialId(accepted.target);
    let known = known(state, id).await?;
    let checked = state.credentials.check(&known, repo).await;
    // Not under the caller's key or version: those are of the command before.
    let mut caused = Caused::by(by.actor);
    caused.request.clone_from(&by.request);
    match state.commands.credential(id, Command::Check(checked), caused).await {
        Ok(checked) => Ok(checked),
        Err(error) => {
            tracing::warn!(%error, "what the forge said of a credential is not on record");
            Ok(accepted)
        }
    }
}
