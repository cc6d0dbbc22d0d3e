use commands::Context;
use domain::ids::UserId;
use sqlx::{Postgres, Transaction};

use super::oidc::Identity;

/// Puts down who signed in, as the provider says now: groups that it does not tell are unknown from then on, whatever
/// it said before. Gives the person, and whether they were signed off.
pub(super) async fn seen_in_tx(
    tx: &mut Transaction<'_, Postgres>,
    context: &Context,
    issuer: &str,
    identity: &Identity,
) -> Result<(UserId, bool), sqlx::Error> {
    let row = sqlx::query!(
        r#"insert into runtime.person as p
             (id, issuer, subject, name, email, groups, created_at, signed_in_at)
           values ($1, $2, $3, $4, $5, $6, $7, $7)
           on conflict (issuer, subject) do update set
             name = excluded.name, email = excluded.email, groups = excluded.groups,
             signed_in_at = case when p.disabled_at is null then excluded.signed_in_at
                                 else p.signed_in_at end
           returning id, disabled_at is not null as "is_disabled!""#,
        context.id(),
        issuer,
        identity.subject,
        identity.name,
        identity.email,
        identity.groups.as_deref(),
        context.now(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((UserId(row.id), row.is_disabled))
}
