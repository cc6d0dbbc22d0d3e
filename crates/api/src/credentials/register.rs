use axum::{extract::State, http::StatusCode};
use commands::{Accepted, CommandError};
use domain::{
    access::{Action, Resource},
    credential::{Command, CredentialName, Kind, Registered, pat_kind},
    github::Repository,
    ids::{CredentialId, ValueId},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Credentials, Place, SecretStoreError, SecretValue, change::verified, mint::app_key};
use crate::{
    access::Allowance,
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, By},
    state::AppState,
};

/// The most bytes of a value: the longest key of an app.
const LONGEST: usize = 16 * 1024;

/// A credential to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCredential {
    /// What it is called: 1 to 64 letters, digits, dots, dashes and underscores.
    name: String,
    /// The token, or the app's private key in PEM form. It is never answered.
    #[schema(value_type = String, format = "password", write_only)]
    value: SecretValue,
    /// The number of the GitHub App whose key it is; a personal access token has none.
    app: Option<u64>,
    /// Whether it is nobody's own: an administrator gives it to those who may use it.
    #[serde(default)]
    shared: bool,
    /// The repository to verify it on, `owner/name`.
    repo: Option<String>,
}

/// Registers a credential for the forge, and verifies it. What cannot be verified is registered all the same: its
/// state says why.
#[utoipa::path(post, path = "/api/v1/credentials", operation_id = "registerCredential", tag = "credentials",
    request_body = NewCredential,
    responses((status = 201, description = "It is there", body = CommandBody)))]
pub(crate) async fn register_credential(
    State(state): State<AppState>,
    asked: Asked<NewCredential>,
) -> Answer<Done> {
    const NAME: &str = "credential.register";
    let Asked { caller, body, by } = asked;
    let action =
        if body.shared { Action::RegisterSharedCredential } else { Action::RegisterCredential };
    let allowance = Allowance::of(&state, &caller);
    let may = allowance.demand(action, &Resource::Installation);
    by.audited(&state, NAME, None, may).await?;
    if let Some(first) = by.answered(&state, NAME, None).await? {
        return Ok(Done::created(first));
    }
    let repo = repository(body.repo.as_deref())?;
    let valid = valid(&state, &body).await;
    let (name, kind) = by.audited(&state, NAME, None, valid).await?;
    let context = state.commands.context();
    let (id, value) = (CredentialId(context.id()), ValueId(context.id()));
    let owner = (!body.shared).then_some(by.owner);
    let command = Command::Register(Registered { name, kind, owner, value });
    let accepted = stored(&state, &by, id, value, &body.value, command).await?;
    Ok(Done::created(verified(&state, &by, accepted, repo).await?))
}

/// What of a new credential is not its value.
async fn valid(state: &AppState, new: &NewCredential) -> Answer<(CredentialName, Kind)> {
    let name: CredentialName = new.name.parse().map_err(|error| Problem::field("name", error))?;
    let kind = kind(&state.credentials, new.app, &new.value)?;
    let all = state.commands.credentials().await?;
    let taken =
        all.iter().any(|known| known.revoked.is_none() && known.credential.registered.name == name);
    if taken {
        let words = "there is a credential of this name; rotate that one, or take another name";
        return Err(Problem::refused(StatusCode::CONFLICT, "credential-name-taken", "name", words));
    }
    Ok((name, kind))
}

/// What kind of credential a value is, if it can be one. No word of the value is in the answer.
pub(super) fn kind(
    credentials: &Credentials,
    app: Option<u64>,
    value: &SecretValue,
) -> Answer<Kind> {
    let text = value.expose();
    if text.len() > LONGEST {
        return Err(Problem::too_large("value", LONGEST));
    }
    match app {
        Some(app) => {
            app_key(text).map_err(|error| Problem::field("value", error))?;
            Ok(Kind::App { app })
        }
        None if text.contains("PRIVATE KEY") => {
            Err(Problem::field("app", "is needed with an app's private key: the app's number"))
        }
        None => pat_kind(text, credentials.classic).map_err(|error| {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::refused(status, "credential-value", "value", error)
        }),
    }
}

pub(super) fn repository(text: Option<&str>) -> Answer<Option<Repository>> {
    text.map(str::parse).transpose().map_err(|error| Problem::field("repo", error))
}

/// Puts a value into the store and the event that names it into the log. Where the log does not take it, the value
/// goes again.
pub(super) async fn stored(
    state: &AppState,
    by: &By,
    id: CredentialId,
    value: ValueId,
    secret: &SecretValue,
    command: Command,
) -> Answer<Accepted> {
    let (store, place) = (&state.credentials.store, Place::Value(id, value));
    store.put(place, secret).await.map_err(|error| store_problem(&error))?;
    let done = state.commands.credential(id, command, by.caused(vec![])).await;
    let taken = match &done {
        // Another request with this key was first, with a value of its own.
        Ok(accepted) => !accepted.replayed,
        // Whether it was committed is not known: what the log may name has to stay.
        Err(CommandError::Store(_)) => true,
        Err(_) => false,
    };
    if !taken && let Err(error) = store.remove(place).await {
        tracing::warn!(%error, "a value that nothing names stays in the secret store");
    }
    Ok(done?)
}

pub(super) fn store_problem(error: &SecretStoreError) -> Problem {
    let title = "The secret store cannot be used now; nothing is changed";
    Problem::unavailable("secret-store-unavailable", title).detail(error)
}
