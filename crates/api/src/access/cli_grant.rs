//! How a command line gets an API token of a person: they let it have one on the page, and it comes for it with the
//! verifier of the challenge that it had sent along.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use commands::Caused;
use domain::{actor::TokenScope, event::Actor, ids::UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::{
    PublicRoute,
    caller::Credential,
    secret::{API_PREFIX, Secret, digest},
    tokens::{NOT_STORED, NewToken, NewTokenBody, issue},
};
use crate::{
    problem::{Answer, Problem},
    request::{Asked, line, within},
    state::AppState,
};

/// How long a command line has to come for its token.
const GRANT: TimeDelta = TimeDelta::minutes(2);

/// What a person lets a command line have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantRequest {
    /// The SHA-256 of its verifier, in base64url.
    challenge: String,
    /// What the token will be called, in one line of at most 200 characters.
    name: String,
    /// For how many days it is good; 1 to 90, 30 unless told otherwise.
    expires_in_days: Option<u32>,
}

/// What the command line comes with, beside its verifier.
#[derive(Serialize, ToSchema)]
pub(crate) struct GrantBody {
    /// Good once, for two minutes.
    code: String,
    expires_at: DateTime<Utc>,
}

/// Lets a command line have an API token of oneself. In a browser alone: a token makes no such grants.
#[utoipa::path(post, path = "/api/v1/cli-grants", operation_id = "createCliGrant", tag = "access",
    request_body = GrantRequest,
    responses((status = 201, description = "What the command line gets its token for", body = GrantBody)))]
pub(crate) async fn create_cli_grant(
    State(state): State<AppState>,
    asked: Asked<GrantRequest>,
) -> Answer<impl IntoResponse> {
    let by_browser = match asked.caller.credential {
        Credential::Cookie(_) => Ok(()),
        Credential::Token(_) => Err(Problem::refused(
            StatusCode::FORBIDDEN,
            "browser-only",
            "credential",
            "is an API token; a command line is let in on the page",
        )),
    };
    asked.by.audited(&state, "cli.grant", None, by_browser).await?;
    let name = line("name", &asked.body.name, 200)?;
    let days = within("expires_in_days", asked.body.expires_in_days.unwrap_or(30), 1..=90)?;
    let challenge = URL_SAFE_NO_PAD.decode(&asked.body.challenge).ok();
    let challenge = challenge
        .filter(|bytes| bytes.len() == 32)
        .ok_or_else(|| Problem::field("challenge", "is not a SHA-256 in base64url"))?;
    let context = state.commands.context();
    let (now, secret) = (context.now(), Secret::draw(context, ""));
    sqlx::query!("delete from runtime.cli_grant where expires_at <= $1", now)
        .execute(state.pool())
        .await?;
    sqlx::query!(
        "insert into runtime.cli_grant (code_sha256, challenge, person, name, days, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
        &secret.digest()[..],
        challenge,
        asked.caller.user.0,
        name,
        i32::try_from(days).unwrap_or(30),
        now + GRANT,
    )
    .execute(state.pool())
    .await?;
    let body = GrantBody { code: secret.expose().to_owned(), expires_at: now + GRANT };
    Ok((StatusCode::CREATED, NOT_STORED, Json(body)))
}

/// What a command line comes for its token with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CliTokenRequest {
    /// What the person was given for it.
    code: String,
    /// What only the command line has.
    verifier: String,
}

/// Gives a command line the API token that a person let it have. Code and verifier together are the credential; the
/// code is used up, whatever the answer.
#[utoipa::path(post, path = "/api/v1/cli-tokens", operation_id = "takeCliToken", tag = "access", security(()),
    request_body = CliTokenRequest,
    responses((status = 201, description = "The token, shown this once", body = NewTokenBody)))]
pub(crate) async fn take_cli_token(
    _: PublicRoute,
    State(state): State<AppState>,
    body: axum::body::Bytes,
) -> Answer<impl IntoResponse> {
    let body: CliTokenRequest =
        serde_json::from_slice(&body).map_err(|error| Problem::malformed("body", error))?;
    state.access.guesses().check()?;
    let context = state.commands.context();
    let now = context.now();
    let row = sqlx::query!(
        "delete from runtime.cli_grant where code_sha256 = $1
         returning challenge, person, name, days, expires_at",
        &digest(&body.code)[..],
    )
    .fetch_optional(state.pool())
    .await?;
    let is_its = |challenge: &[u8]| -> bool {
        let found: [u8; 32] = Sha256::digest(body.verifier.as_bytes()).into();
        found.ct_eq(challenge).into()
    };
    let Some(row) = row.filter(|row| row.expires_at > now && is_its(&row.challenge)) else {
        state.access.guesses().failed();
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "code-not-good",
            "The code was used before, is older than two minutes, or is another command line's",
        )
        .detail("run `paddock login` again"));
    };
    let secret = Secret::draw(context, API_PREFIX);
    let expires_at = now + TimeDelta::days(i64::from(row.days));
    let (id, scope, user) = (context.id(), TokenScope::default(), UserId(row.person));
    let token = NewToken { id, secret: &secret, name: &row.name, expires_at, scope };
    issue(&state, user, &token, &Caused::by(Actor::User(user))).await?;
    let token = secret.expose().to_owned();
    Ok((StatusCode::CREATED, NOT_STORED, Json(NewTokenBody { id, token, expires_at })))
}
