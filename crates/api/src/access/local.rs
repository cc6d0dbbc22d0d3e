use chrono::TimeDelta;
use commands::{Caused, CommandError, Commands, Context};
use domain::{actor::TokenScope, event::Actor, ids::UserId};
use sqlx::PgPool;

use super::{
    LOCAL_ISSUER,
    secret::{API_PREFIX, Secret},
    tokens::NewToken,
};

/// How long a sign-in link is good for.
const LINK: TimeDelta = TimeDelta::minutes(10);
/// How long the command line's own token is good for: `paddock up` makes a new one at each start.
const LOCAL_TOKEN: TimeDelta = TimeDelta::days(30);
/// The name of the command line's own token.
const LOCAL_TOKEN_NAME: &str = "paddock up";

/// The one local user, made on first use.
pub async fn local_user(pool: &PgPool, context: &Context) -> Result<UserId, sqlx::Error> {
    sqlx::query!(
        "insert into runtime.local_user (id) values ($1) on conflict do nothing",
        context.id()
    )
    .execute(pool)
    .await?;
    let id = sqlx::query_scalar!("select id from runtime.local_user").fetch_one(pool).await?;
    sqlx::query!(
        "insert into runtime.person (id, issuer, subject, name, created_at)
         values ($1, $2, 'local', 'Local user', $3) on conflict do nothing",
        id,
        LOCAL_ISSUER,
        context.now(),
    )
    .execute(pool)
    .await?;
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

/// Makes the command line's own API token; an earlier start's works no longer.
pub async fn issue_local_token(pool: &PgPool, context: &Context) -> Result<String, CommandError> {
    let user = local_user(pool, context).await?;
    let commands = Commands::new(pool.clone(), context.clone());
    let secret = Secret::draw(context, API_PREFIX);
    let expires_at = context.now() + LOCAL_TOKEN;
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "update runtime.api_token set revoked_at = $1
         where person = $2 and name = $3 and revoked_at is null",
        context.now(),
        user.0,
        LOCAL_TOKEN_NAME,
    )
    .execute(&mut *tx)
    .await?;
    let scope = TokenScope::default();
    let (id, name) = (context.id(), LOCAL_TOKEN_NAME);
    let token = NewToken { id, secret: &secret, name, expires_at, scope };
    let caused = Caused::by(Actor::User(user));
    token.issue_in_tx(&commands, &mut tx, user, &caused).await?;
    tx.commit().await?;
    Ok(secret.expose().to_owned())
}
