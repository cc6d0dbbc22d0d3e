//! Who may come in. For now one local user: browsers by a one-time link, programs by API tokens.

mod caller;
mod guard;
mod known;
mod login;
mod secret;
mod tokens;

use chrono::{DateTime, TimeDelta, Utc};
use commands::{Caused, CommandError, Commands, Context};
use domain::{actor::Event, event::Actor, ids::UserId};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

pub use self::known::Known;
use self::secret::Secret;
pub(crate) use self::{
    caller::{COOKIE, Caller, PublicRoute},
    guard::guard,
    known::KnownCaller,
    login::*,
    tokens::*,
};

/// How long a sign-in link is good for.
const LINK: TimeDelta = TimeDelta::minutes(10);
/// How long a browser stays signed in.
const BROWSER: TimeDelta = TimeDelta::days(14);
/// How long the command line's own token is good for: `paddock up` makes a new one at each start.
const LOCAL_TOKEN: TimeDelta = TimeDelta::days(30);

/// How often a change is tried that goes with an event, where others append to the same stream.
const ATTEMPTS: u32 = 12;

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

/// The name of the command line's own token.
const LOCAL_TOKEN_NAME: &str = "paddock up";

/// Makes the command line's own API token; an earlier start's works no longer.
pub async fn issue_local_token(pool: &PgPool, context: &Context) -> Result<String, CommandError> {
    let user = local_user(pool, context).await?;
    let commands = Commands::new(pool.clone(), context.clone());
    let secret = Secret::draw(context, secret::API_PREFIX);
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
    let token = NewToken { id: context.id(), secret: &secret, name: LOCAL_TOKEN_NAME, expires_at };
    let caused = Caused::by(Actor::User(user));
    token.issue_in_tx(&commands, &mut tx, user, &caused).await?;
    tx.commit().await?;
    Ok(secret.expose().to_owned())
}

/// An API token to be made.
struct NewToken<'a> {
    id: Uuid,
    secret: &'a Secret,
    name: &'a str,
    expires_at: DateTime<Utc>,
}

impl NewToken<'_> {
    /// Makes it, with its event.
    async fn issue_in_tx(
        &self,
        commands: &Commands,
        tx: &mut Transaction<'_, Postgres>,
        user: UserId,
        caused: &Caused,
    ) -> Result<(), CommandError> {
        sqlx::query!(
            "insert into runtime.api_token (id, token_sha256, person, name, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            self.id,
            &self.secret.digest()[..],
            user.0,
            self.name,
            commands.context().now(),
            self.expires_at,
        )
        .execute(&mut **tx)
        .await?;
        let issued = Event::TokenIssued { token: self.id, expires_at: self.expires_at };
        commands.actor_in_tx(tx, user.into(), issued, caused).await
    }
}
