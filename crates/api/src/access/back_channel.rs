use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::StatusCode,
    response::IntoResponse,
};
use commands::Caused;
use domain::{actor::SignOut, event::Actor, ids::UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    PublicRoute,
    oidc::{Ended, LogoutTokenError, Oidc},
    secret::digest,
    sign_out::{Which, end},
    tokens::NOT_STORED,
};
use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

/// What a provider sends.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LogoutForm {
    /// Says, by the provider's signature, which sign-ins ended.
    logout_token: String,
}

/// Ends the sign-ins of which the provider says that they ended: their browsers are signed out, and their live
/// streams close. The provider's signature is the credential.
#[utoipa::path(post, path = "/logout/backchannel", operation_id = "endSignIn", tag = "access",
    security(()),
    request_body(content = LogoutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "They are signed out")))]
pub(crate) async fn back_channel(
    _: PublicRoute,
    State(state): State<AppState>,
    form: Result<Form<LogoutForm>, FormRejection>,
) -> Answer<impl IntoResponse> {
    let Some(oidc) = state.access.oidc() else { return Err(Problem::not_found("route")) };
    let Form(form) = form.map_err(|_| Problem::malformed("logout_token", "is not in the form"))?;
    let ended = oidc.ended(&form.logout_token).await.map_err(|error| match error {
        LogoutTokenError::Unavailable => {
            Problem::unavailable("provider-unavailable", "The provider's keys cannot be had now")
        }
        LogoutTokenError::Invalid(why) => {
            tracing::warn!(why, "a logout token was refused");
            Problem::malformed("logout_token", why)
        }
    })?;
    once(&state, &ended).await?;
    match sign_out(&state, oidc, &ended).await {
        Ok(()) => Ok((StatusCode::OK, NOT_STORED)),
        Err(problem) => {
            // It was not acted on: the provider may send it again.
            let _ = sqlx::query!(
                "delete from runtime.logout_token where jti_sha256 = $1",
                &digest(&ended.jti)[..]
            )
            .execute(state.pool())
            .await;
            Err(problem)
        }
    }
}

/// A token is acted on once.
async fn once(state: &AppState, ended: &Ended) -> Answer<()> {
    let now = state.commands.context().now();
    sqlx::query!("delete from runtime.logout_token where expires_at <= $1", now)
        .execute(state.pool())
        .await?;
    let first = sqlx::query!(
        "insert into runtime.logout_token (jti_sha256, expires_at) values ($1, $2)
         on conflict do nothing",
        &digest(&ended.jti)[..],
        ended.until,
    )
    .execute(state.pool())
    .await?;
    if first.rows_affected() == 0 {
        return Err(Problem::malformed("logout_token", "was acted on before"));
    }
    Ok(())
}

async fn sign_out(state: &AppState, oidc: &Oidc, ended: &Ended) -> Answer<()> {
    // A browser whose sign-in the provider never named goes with its person.
    let people = sqlx::query_scalar!(
        "select distinct p.id from runtime.person p join runtime.browser b on b.person = p.id
         where p.issuer = $1 and ($2::text is null or p.subject = $2)
           and ($3::text is null or b.sid = $3 or ($2::text is not null and b.sid is null))",
        oidc.settings().issuer,
        ended.subject,
        ended.sid,
    )
    .fetch_all(state.pool())
    .await?;
    let which = match &ended.sid {
        Some(sid) if ended.subject.is_some() => Which::SignInOrUnnamed(sid),
        Some(sid) => Which::SignIn(sid),
        None => Which::All,
    };
    for person in people {
        let user = UserId(person);
        end(state, user, SignOut::Provider, &Caused::by(Actor::User(user)), which).await?;
    }
    Ok(())
}
