use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use chrono::TimeDelta;
use commands::{Caused, CommandError};
use domain::{
    actor::{Event, SignIn},
    event::Actor,
    ids::UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ATTEMPTS,
    local::issue_sign_in_link,
    record::committed,
    secret::{Secret, digest},
};
use crate::{
    problem::{Answer, Problem},
    request::{Asked, Nothing},
    state::AppState,
};

/// How long a browser of the local user stays signed in.
const BROWSER: TimeDelta = TimeDelta::days(14);

/// Uses a one-time link up, lets the browser in and puts it on the record: all of it or nothing.
pub(super) async fn sign_in_by_link(state: &AppState, token: &str, secret: &Secret) -> Answer<()> {
    offered(state)?;
    state.access.guesses().check()?;
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
            state.access.guesses().failed();
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "link-not-good",
                "The link was used before, or is older than ten minutes",
            )
            .detail("`paddock login` prints a new one"));
        };
        sqlx::query!(
            "insert into runtime.browser (token_sha256, person, expires_at, created_at, seen_at)
             values ($1, $2, $3, $4, $4)",
            &secret.digest()[..],
            user.0,
            now + BROWSER,
            now,
        )
        .execute(&mut *tx)
        .await?;
        let event = Event::SignedIn { method: SignIn::OneTimeLink };
        if committed(state, tx, user, event, &Caused::by(Actor::User(user))).await? {
            return Ok(());
        }
    }
    Err(CommandError::Contended.into())
}

/// Links are for the machine itself: who reaches it from elsewhere signs in at a provider.
fn offered(state: &AppState) -> Answer<()> {
    if state.access.settings().links {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "links-not-offered",
        "This server has no one-time sign-in links",
    )
    .detail("they are for `paddock up` on a loopback address alone; sign in at the provider"))
}

/// A sign-in link.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInLinkBody {
    /// Opens once, within ten minutes.
    url: String,
}

/// Makes a one-time sign-in link for oneself: where there is one user, on the machine itself.
#[utoipa::path(post, path = "/api/v1/sign-in-links", operation_id = "createSignInLink", tag = "access",
    responses((status = 201, description = "A new link", body = SignInLinkBody)))]
pub(crate) async fn create_sign_in_link(
    State(state): State<AppState>,
    _asked: Asked<Nothing>,
) -> Answer<impl IntoResponse> {
    offered(&state)?;
    let path = issue_sign_in_link(state.pool(), state.commands.context()).await?;
    let base = state.settings.public_url.as_str().trim_end_matches('/');
    Ok((StatusCode::CREATED, Json(SignInLinkBody { url: format!("{base}{path}") })))
}
