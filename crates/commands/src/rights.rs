//! The serving role may add to the event log and read it, and erase texts, which are beside it. `serve` checks that before
//! it serves: a role that could change the log would make every proof about it worth less.

use sqlx::PgPool;

/// Why `serve` refuses to start on this database.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The schema is not there.
    #[error("the database holds no event log: run `paddock migrate` first")]
    NotMigrated,
    /// The role may do what it must not.
    #[error("the role {role} {what}: serve with a role that may only read and add")]
    TooMuch {
        /// The role.
        role: String,
        /// What it is or may do.
        what: String,
    },
    /// The role may not do what it must.
    #[error("the role {role} may not {what}: run `paddock migrate` again")]
    TooLittle {
        /// The role.
        role: String,
        /// What is missing.
        what: String,
    },
}

/// The tables of the event log.
const TABLES: [&str; 8] =
    ["event", "event_text", "idempotency", "log", "log_batch", "epoch", "tree_hash", "checkpoint"];

/// Whether the serving role must have that right: to read and to add, and to erase texts.
fn is_wanted(table: &str, privilege: &str) -> bool {
    matches!((table, privilege), (_, "SELECT" | "INSERT") | ("event_text", "DELETE"))
}

/// Refuses a role that is, or may become, a superuser or the owner of the event log, that may do more
/// than SELECT and INSERT on its tables and DELETE on that of texts, or less.
pub async fn check_rights(pool: &PgPool) -> Result<(), RightsError> {
    let role =
        sqlx::query_scalar!(r#"select current_user::text as "role!""#).fetch_one(pool).await?;
    let too_much = |what: &str| RightsError::TooMuch { role: role.clone(), what: what.to_owned() };
    let about = sqlx::query!(
        r#"select r.rolsuper as "superuser!", r.rolcreaterole as "createrole!",
             r.rolbypassrls as "bypass!", r.rolreplication as "replication!",
             to_regclass('paddock.event') is not null as "migrated!",
             coalesce((select pg_has_role(current_user, nspowner, 'member') from pg_namespace where nspname = 'paddock'), false) as "owner!",
             coalesce(has_schema_privilege((select oid from pg_namespace where nspname = 'paddock'), 'create'), false) as "creates!",
             current_setting('session_replication_role') <> 'origin' as "replica!"
           from pg_roles r where r.rolname = current_user"#
    )
    .fetch_one(pool)
    .await?;
    if !about.migrated {
        return Err(RightsError::NotMigrated);
    }
    for (is_so, what) in [
        (about.superuser, "is a superuser"),
        (about.owner, "owns the event log, or may act as its owner"),
        (about.createrole, "may create roles"),
        (about.replication, "may replicate"),
        (about.bypass, "may bypass row security"),
        (about.creates, "may create in the schema of the event log"),
        (about.replica, "runs with triggers switched off"),
    ] {
        if is_so {
            return Err(too_much(what));
        }
    }
    let rights = sqlx::query!(
        r#"select t.name as "name!", p.privilege as "privilege!",
             coalesce(has_table_privilege(to_regclass('paddock.' || t.name), p.privilege)
               or (p.privilege in ('UPDATE', 'INSERT', 'REFERENCES')
                 and has_any_column_privilege(to_regclass('paddock.' || t.name), p.privilege)), false) as "granted!"
           from unnest($1::text[]) t(name),
             unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p(privilege)"#,
        &TABLES.map(str::to_owned)[..]
    )
    .fetch_all(pool)
    .await?;
    for right in rights {
        let wanted = is_wanted(&right.name, &right.privilege);
        if right.granted && !wanted {
            return Err(too_much(&format!("has {} on paddock.{}", right.privilege, right.name)));
        }
        if wanted && !right.granted {
            let what = format!("{} on paddock.{}", right.privilege, right.name);
            return Err(RightsError::TooLittle { role, what });
        }
    }
    Ok(())
}
