use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use axum_extra::extract::CookieJar;
use commands::{Caused, CommandError};
use domain::{
    actor::{Event, SignOut},
    ids::UserId,
};
use serde::Serialize;
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;

use super::{
    ATTEMPTS,
    caller::Credential,
    cookie::{self, Kind},
    record::committed,
};
use crate::{
    problem::Answer,
    request::{Asked, Nothing},
    state::AppState,
};

/// Signs this browser out: requests with its cookie are refused from then on, and its live streams close. An API
/// token is revoked instead.
#[utoipa::path(post, path = "/api/v1/sign-out", operation_id = "signOut", tag = "access",
    responses(
        (status = 200, description = "Signed out: the answer removes the cookie. The provider can be signed out of too",
            body = SignedOutBody),
        (status = 204, description = "Signed out: the answer removes the cookie")))]
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    cookies: CookieJar,
    asked: Asked<Nothing>,
) -> Answer<Response> {
    let url = &state.settings.public_url;
    let cookies = cookies.add(cookie::removal(Kind::Browser, url));
    let Credential::Cookie(digest) = asked.caller.credential else {
        return Ok((cookies, StatusCode::NO_CONTENT).into_response());
    };
    let user = asked.caller.user;
    end(&state, user, SignOut::Person, &asked.by.caused(vec![]), Which::One(digest)).await?;
    if let Some(oidc) = state.access.oidc()
        && let Ok(back) = url.join("/sign-in")
        && let Some(at_provider) = oidc.sign_out_url(&back).await
    {
        let body = SignedOutBody { continue_at: at_provider.into() };
        return Ok((cookies, Json(body)).into_response());
    }
    Ok((cookies, StatusCode::NO_CONTENT).into_response())
}

/// What is left to do.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedOutBody {
    /// Where a browser goes on to be signed out at the provider too.
    continue_at: String,
}

/// Which of a person's browsers.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// The one of this cookie.
    One([u8; 32]),
    /// Those of one sign-in at the provider.
    SignIn(&'a str),
    /// The same, and those of which the provider never said which sign-in they are of.
    SignInOrUnnamed(&'a str),
    /// All.
    All,
}

/// Signs browsers of a person out and puts it on their record; gives how many.
pub(super) async fn end(
    state: &AppState,
    user: UserId,
    by: SignOut,
    caused: &Caused,
    which: Which<'_>,
) -> Answer<u32> {
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        let browsers = delete_in_tx(&mut tx, user, which).await?;
        if browsers == 0 {
            return Ok(0);
        }
        let event = Event::SignedOut { by, browsers };
        if committed(state, tx, user, event, caused).await? {
            state.access.rights().changed();
            return Ok(browsers);
        }
    }
    Err(CommandError::Contended.into())
}

async fn delete_in_tx(
    tx: &mut Transaction<'_, Postgres>,
    user: UserId,
    which: Which<'_>,
) -> Result<u32, sqlx::Error> {
    let (cookie, sid, unnamed) = match which {
        Which::One(digest) => (Some(digest.to_vec()), None, false),
        Which::SignIn(sid) => (None, Some(sid), false),
        Which::SignInOrUnnamed(sid) => (None, Some(sid), true),
        Which::All => (None, None, true),
    };
    let deleted = sqlx::query!(
        "delete from runtime.browser where person = $1
           and ($2::bytea is null or token_sha256 = $2)
           and ($3::text is null or sid = $3 or ($4::boolean and sid is null))",
        user.0,
        cookie,
        sid,
        unnamed,
    )
    .execute(&mut **tx)
    .await?;
    Ok(u32::try_from(deleted.rows_affected()).unwrap_or(u32::MAX))
}
