use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use commands::{Caused, CommandError};
use domain::{
    actor::{Event, SignIn},
    event::Actor,
    ids::UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    ATTEMPTS, BROWSER, Caller, PublicRoute,
    caller::{Credential, cookie_name},
    issue_sign_in_link,
    secret::{Secret, digest},
};
use crate::{
    problem::{Answer, Problem},
    request::{Asked, Nothing, Params},
    state::AppState,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginQuery {
    /// What `paddock login` printed.
    token: String,
}

/// Signs a browser in by a one-time link, which is itself the credential.
#[utoipa::path(get, path = "/login", operation_id = "signIn", tag = "access",
    params(LoginQuery), security(()),
    responses((status = 303, description = "Signed in: the answer sets a cookie")))]
pub(crate) async fn login(
    _: PublicRoute,
    State(state): State<AppState>,
    cookies: CookieJar,
    Params(query): Params<LoginQuery>,
) -> Answer<impl IntoResponse> {
    let secret = Secret::draw(state.commands.context(), "");
    signed_in(&state, &query.token, &secret).await?;
    state.commands.doorbell().ring();
    let url = &state.settings.public_url;
    let cookie = Cookie::build((cookie_name(url), secret.expose().to_owned()))
        .path("/")
        .http_only(true)
        .secure(url.scheme() == "https")
        .same_site(SameSite::Strict);
    Ok((cookies.add(cookie), Redirect::to("/")))
}

/// Uses the link up, lets the browser in and puts it on the record: all of it or nothing.
async fn signed_in(state: &AppState, token: &str, secret: &Secret) -> Answer<()> {
    let now = state.commands.context().now();
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        let user = sqlx::query_scalar!(
            "update runtime.sign_in_link set used_at = $2
             where token_sha256 = $1 and used_at is null and expires_at > $2 returning person",
            &digest(token)[..],
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(user) = user.map(UserId) else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "link-not-good",
                "The link was used before, or is older than ten minutes",
            )
            .detail("`paddock login` prints a new one"));
        };
        sqlx::query!(
            "insert into runtime.browser (token_sha256, person, expires_at) values ($1, $2, $3)",
            &secret.digest()[..],
            user.0,
            now + BROWSER,
        )
        .execute(&mut *tx)
        .await?;
        let event = Event::SignedIn { method: SignIn::OneTimeLink };
        let caused = Caused::by(Actor::User(user));
        match state.commands.actor_in_tx(&mut tx, user.into(), event, &caused).await {
            Ok(()) => return Ok(tx.commit().await?),
            Err(CommandError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Contended.into())
}

/// Signs this browser out. An API token is revoked instead.
#[utoipa::path(post, path = "/api/v1/sign-out", operation_id = "signOut", tag = "access",
    responses((status = 204, description = "Signed out: the answer removes the cookie")))]
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    cookies: CookieJar,
    asked: Asked<Nothing>,
) -> Answer<impl IntoResponse> {
    if let Credential::Cookie(digest) = asked.caller.credential {
        sqlx::query!("delete from runtime.browser where token_sha256 = $1", &digest[..])
            .execute(state.pool())
            .await?;
    }
    let name = cookie_name(&state.settings.public_url);
    Ok((cookies.remove(Cookie::build(name).path("/")), StatusCode::NO_CONTENT))
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
