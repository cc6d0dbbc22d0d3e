use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use chrono::{DateTime, TimeDelta, Utc};
use commands::Caused;
use domain::{
    actor::{Event, SignIn},
    event::Actor,
    ids::UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    BROWSER, Caller,
    caller::COOKIE,
    issue_sign_in_link,
    secret::{API_PREFIX, Secret, digest},
};
use crate::{
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Asked, Id, Nothing, text, within},
    state::AppState,
};

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    token: String,
}

/// Signs a browser in by a one-time link. A public route: the token is the credential.
pub(crate) async fn login(
    State(state): State<AppState>,
    cookies: CookieJar,
    Query(query): Query<LoginQuery>,
) -> Answer<impl IntoResponse> {
    let context = state.commands.context();
    let user = sqlx::query_scalar!(
        "update runtime.sign_in_link set used_at = $2
         where token_sha256 = $1 and used_at is null and expires_at > $2 returning person",
        &digest(&query.token)[..],
        context.now(),
    )
    .fetch_optional(state.pool())
    .await?;
    let Some(user) = user.map(UserId) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "link-not-good",
            "The link was used before, or is older than ten minutes",
        )
        .detail("`paddock login` prints a new one"));
    };
    let secret = Secret::draw(context, "");
    sqlx::query!(
        "insert into runtime.browser (token_sha256, person, expires_at) values ($1, $2, $3)",
        &secret.digest()[..],
        user.0,
        context.now() + BROWSER,
    )
    .execute(state.pool())
    .await?;
    let signed_in = Event::SignedIn { method: SignIn::OneTimeLink };
    let caused = Caused::by(Actor::User(user));
    state.commands.actor(user.into(), signed_in, &caused).await?;
    let cookie = Cookie::build((COOKIE, secret.expose().to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict);
    Ok((cookies.add(cookie), Redirect::to("/")))
}

/// A sign-in link.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInLinkBody {
    /// Opens once, within ten minutes.
    url: String,
}

/// Makes a one-time sign-in link for oneself.
#[utoipa::path(post, path = "/api/v1/sign-in-links", operation_id = "createSignInLink", tag = "access",
    responses((status = 201, description = "A new link", body = SignInLinkBody)))]
pub(crate) async fn create_sign_in_link(
    State(state): State<AppState>,
    _asked: Asked<Nothing>,
) -> Answer<impl IntoResponse> {
    let path = issue_sign_in_link(state.pool(), state.commands.context()).await?;
    let base = state.settings.public_url.as_str().trim_end_matches('/');
    Ok((StatusCode::CREATED, Json(SignInLinkBody { url: format!("{base}{path}") })))
}

/// Who one is.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeBody {
    /// An opaque id.
    id: Uuid,
}

/// Says who one is.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "getMe", tag = "access",
    responses((status = 200, description = "Oneself", body = MeBody)))]
pub(crate) async fn me(caller: Caller) -> Json<MeBody> {
    Json(MeBody { id: caller.user.0 })
}

/// An API token, without its value.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Lists one's API tokens.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "listTokens", tag = "access",
    responses((status = 200, description = "Those that work", body = ListBody<TokenBody>)))]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    caller: Caller,
) -> Answer<Json<ListBody<TokenBody>>> {
    let items = sqlx::query_as!(
        TokenBody,
        "select id, name, created_at, expires_at from runtime.api_token
         where person = $1 and revoked_at is null and expires_at > $2 order by created_at desc",
        caller.user.0,
        state.commands.context().now(),
    )
    .fetch_all(state.pool())
    .await?;
    Ok(Json(ListBody { items, next: None }))
}

/// What an API token is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for.
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

/// Makes an API token for oneself.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = NewToken,
    responses((status = 201, description = "The token, shown this once", body = NewTokenBody)))]
pub(crate) async fn create_token(
    State(state): State<AppState>,
    asked: Asked<NewToken>,
) -> Answer<impl IntoResponse> {
    let name = text("name", asked.body.name.clone())?;
    let days = within("expires_in_days", asked.body.expires_in_days.unwrap_or(90), 1..=365)?;
    let context = state.commands.context();
    let (id, secret, now) = (context.id(), Secret::draw(context, API_PREFIX), context.now());
    let expires_at = now + TimeDelta::days(i64::from(days));
    sqlx::query!(
        "insert into runtime.api_token (id, token_sha256, person, name, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
        id,
        &secret.digest()[..],
        asked.caller.user.0,
        name,
        now,
        expires_at,
    )
    .execute(state.pool())
    .await?;
    let issued = Event::TokenIssued { token: id, expires_at };
    state.commands.actor(asked.caller.user.into(), issued, &asked.caused(vec![])).await?;
    let token = secret.expose().to_owned();
    Ok((StatusCode::CREATED, Json(NewTokenBody { id, token, expires_at })))
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
    let revoked = sqlx::query!(
        "update runtime.api_token set revoked_at = $3
         where id = $1 and person = $2 and revoked_at is null",
        id,
        asked.caller.user.0,
        state.commands.context().now(),
    )
    .execute(state.pool())
    .await?;
    if revoked.rows_affected() == 0 {
        return Err(Problem::not_found("token"));
    }
    let revoked = Event::TokenRevoked { token: id };
    state.commands.actor(asked.caller.user.into(), revoked, &asked.caused(vec![])).await?;
    Ok(StatusCode::NO_CONTENT)
}
