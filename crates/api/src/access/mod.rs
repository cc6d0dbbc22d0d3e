//! Who may come in. For now one local user: browsers by a one-time link, programs by API tokens.

mod caller;
mod guard;
mod routes;
mod secret;

use chrono::TimeDelta;
use commands::Context;
use domain::ids::UserId;
use sqlx::PgPool;

use self::secret::Secret;
pub(crate) use self::{caller::Caller, guard::guard, routes::*};

/// How long a sign-in link is good for.
const LINK: TimeDelta = TimeDelta::minutes(10);
/// How long a browser stays signed in.
const BROWSER: TimeDelta = TimeDelta::days(14);
/// How long the command line's own token is good for: `paddock up` makes a new one at each start.
const LOCAL_TOKEN: TimeDelta = TimeDelta::days(30);

/// The one local user, made on first use.
pub async fn local_user(pool: &PgPool, context: &Context) -> Result<UserId, sqlx::Error> {
    sqlx::query!(
        "insert into runtime.local_user (id) values ($1) on conflict do nothing",
        context.id()
    )
    .execute(pool)
    .await?;
    let id = sqlx::query_scalar!("select id from runtime.local_user").fetch_one(pool).await?;
    Ok(UserId(id))
}

/// Makes a sign-in link for the local user, as a path: good once, for ten minutes.
pub async fn issue_sign_in_link(pool: &PgPool, context: &Context) -> Result<String, sqlx::Error> {
    let user = local_user(pool, context).await?;
    let secret = Secret::draw(context, "");
    sqlx::query!(
        "insert into runtime.sign_in_link (token_sha256, person, expires_at) values ($1, $2, $3)",
        &secret.digest()[..],
        user.0,
        context.now() + LINK,
    )
    .execute(pool)
    .await?;
    Ok(format!("/login?token={}", secret.expose()))
}

/// Makes the command line's own API token.
pub async fn issue_local_token(pool: &PgPool, context: &Context) -> Result<String, sqlx::Error> {
    let user = local_user(pool, context).await?;
    let secret = Secret::draw(context, secret::API_PREFIX);
    let now = context.now();
    // An earlier start's token is of no use to anybody any more.
    sqlx::query!("delete from runtime.api_token where name = 'paddock up'").execute(pool).await?;
    sqlx::query!(
        "insert into runtime.api_token (id, token_sha256, person, name, created_at, expires_at)
         values ($1, $2, $3, 'paddock up', $4, $5)",
        context.id(),
        &secret.digest()[..],
        user.0,
        now,
        now + LOCAL_TOKEN,
    )
    .execute(pool)
    .await?;
    Ok(secret.expose().to_owned())
}
