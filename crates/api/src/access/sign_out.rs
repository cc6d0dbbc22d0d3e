use axum::{extract::State, http::StatusCode, response::IntoResponse};
use axum_extra::extract::CookieJar;
use commands::{Caused, CommandError};
use domain::{
    actor::{Event, SignOut},
    ids::UserId,
};
use sqlx::{Postgres, Transaction};

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
    responses((status = 204, description = "Signed out: the answer removes the cookie")))]
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    cookies: CookieJar,
    asked: Asked<Nothing>,
) -> Answer<impl IntoResponse> {
    if let Credential::Cookie(digest) = asked.caller.credential {
        let user = asked.caller.user;
        end(&state, user, SignOut::Person, &asked.by.caused(vec![]), Which::One(digest)).await?;
    }
    let removal = cookie::removal(Kind::Browser, &state.settings.public_url);
    Ok((cookies.add(removal), StatusCode::NO_CONTENT))
}

/// Which of a person's browsers.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// The one of this cookie.
    One([u8; 32]),
    #[expect(dead_code, reason = "signing in at a provider comes next")]
    /// Those of one sign-in at the provider.
    SignIn(&'a str),
    #[expect(dead_code, reason = "signing in at a provider comes next")]
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
    let (cookie, sid) = match which {
        Which::One(digest) => (Some(digest.to_vec()), None),
        Which::SignIn(sid) => (None, Some(sid)),
        Which::All => (None, None),
    };
    let deleted = sqlx::query!(
        "delete from runtime.browser where person = $1
           and ($2::bytea is null or token_sha256 = $2) and ($3::text is null or sid = $3)",
        user.0,
        cookie,
        sid,
    )
    .execute(&mut **tx)
    .await?;
    Ok(u32::try_from(deleted.rows_affected()).unwrap_or(u32::MAX))
}
