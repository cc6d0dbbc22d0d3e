use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use chrono::{DateTime, TimeDelta, Utc};
use commands::CommandError;
use domain::actor::Event;
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    ATTEMPTS, Caller, NewToken,
    secret::{API_PREFIX, Secret},
};
use crate::{
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Asked, Id, ListQuery, Nothing, Params, line, within},
    state::AppState,
};

/// An API token, without its value.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Lists one's API tokens that work, the newest first.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "listTokens", tag = "access",
    params(ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<TokenBody>)))]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Answer<Json<ListBody<TokenBody>>> {
    let (list, limit) = (format!("tokens {}", caller.user), query.limit()?);
    let before = match &query.cursor {
        Some(cursor) => Cursor::key(&list, cursor)?,
        None => Uuid::max(),
    };
    let mut items = sqlx::query_as!(
        TokenBody,
        "select id, name, created_at, expires_at from runtime.api_token
         where person = $1 and revoked_at is null and expires_at > $2 and id < $3
         order by id desc limit $4",
        caller.user.0,
        state.commands.context().now(),
        before,
        i64::from(limit) + 1,
    )
    .fetch_all(state.pool())
    .await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next = last.map(|last| Cursor::after(&list, last.id).encode());
    Ok(Json(ListBody { items, next }))
}

/// What an API token is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What it is for, in one line of at most 200 characters.
    name: String,
    /// For how many days it is good; 1 to 365, 90 unless told otherwise.
    expires_in_days: Option<u32>,
}

/// A new API token: its value is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTokenBody {
    id: Uuid,
    token: String,
    expires_at: DateTime<Utc>,
}

/// Makes an API token for oneself. Its value is stored nowhere, so that a repeated request makes another.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = TokenRequest,
    responses((status = 201, description = "The token, shown this once", body = NewTokenBody)))]
pub(crate) async fn create_token(
    State(state): State<AppState>,
    asked: Asked<TokenRequest>,
) -> Answer<impl IntoResponse> {
    let name = line("name", &asked.body.name, 200)?;
    let days = within("expires_in_days", asked.body.expires_in_days.unwrap_or(90), 1..=365)?;
    let context = state.commands.context();
    let (id, secret) = (context.id(), Secret::draw(context, API_PREFIX));
    let expires_at = context.now() + TimeDelta::days(i64::from(days));
    let token = NewToken { id, secret: &secret, name: &name, expires_at };
    issue(&state, &asked, &token).await?;
    let token = secret.expose().to_owned();
    Ok((StatusCode::CREATED, Json(NewTokenBody { id, token, expires_at })))
}

async fn issue(state: &AppState, asked: &Asked<TokenRequest>, token: &NewToken<'_>) -> Answer<()> {
    let caused = asked.by.caused(vec![]);
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        match token.issue_in_tx(&state.commands, &mut tx, asked.caller.user, &caused).await {
            Ok(()) => {
                tx.commit().await?;
                state.commands.doorbell().ring();
                return Ok(());
            }
            Err(CommandError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Contended.into())
}

/// Ends an API token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revokeToken", tag = "access",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "It does not work any more")))]
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    Id(id): Id<Uuid>,
    asked: Asked<Nothing>,
) -> Answer<StatusCode> {
    let user = asked.caller.user;
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        let revoked = sqlx::query!(
            "update runtime.api_token set revoked_at = $3
             where id = $1 and person = $2 and revoked_at is null",
            id,
            user.0,
            state.commands.context().now(),
        )
        .execute(&mut *tx)
        .await?;
        if revoked.rows_affected() == 0 {
            return Err(Problem::not_found("token"));
        }
        let event = Event::TokenRevoked { token: id };
        match state
            .commands
            .actor_in_tx(&mut tx, user.into(), event, &asked.by.caused(vec![]))
            .await
        {
            Ok(()) => {
                tx.commit().await?;
                state.commands.doorbell().ring();
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(CommandError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Contended.into())
}
