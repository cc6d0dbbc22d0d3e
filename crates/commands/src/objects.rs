//! Objects on the cluster that ask for something: who is behind them, and what became of it.

use std::collections::HashMap;

use domain::{event::Actor, ids::UserId};
use uuid::Uuid;

use crate::{Commands, StoreError};

/// The names of those who apply objects to a cluster are the names of ids within this one.
const USERS: Uuid = Uuid::from_u128(0x6b75_6265_726e_4574_8573_0070_6164_646b);

/// What is known of an object's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is this actor's, and this session or run came of it, if one did.
    Own(Option<Uuid>),
    /// Another one used it first.
    Others,
}

/// The id of whoever applies objects to the cluster under a name.
#[must_use]
pub fn kubernetes_id(name: &str) -> UserId {
    UserId(Uuid::new_v5(&USERS, name.as_bytes()))
}

impl Commands {
    /// The actor behind a name that the cluster's API server authenticated: the same id for the same name.
    pub async fn kubernetes_actor(&self, name: &str) -> Result<Actor, StoreError> {
        let UserId(id) = kubernetes_id(name);
        sqlx::query!(
            "insert into runtime.kubernetes_user (id, name) values ($1, $2) on conflict do nothing",
            id,
            name,
        )
        .execute(self.pool())
        .await?;
        Ok(Actor::Kubernetes(Some(UserId(id))))
    }

    /// The names behind such ids, as far as they are still known.
    pub async fn kubernetes_names(
        &self,
        ids: &[Uuid],
    ) -> Result<HashMap<UserId, String>, StoreError> {
        let rows =
            sqlx::query!("select id, name from runtime.kubernetes_user where id = any($1)", ids)
                .fetch_all(self.pool())
                .await?;
        Ok(rows.into_iter().map(|row| (UserId(row.id), row.name)).collect())
    }

    /// Takes an object's name for an actor, unless it is another's.
    pub async fn claim_object(
        &self,
        key: &str,
        name: &str,
        actor: Actor,
    ) -> Result<Claim, StoreError> {
        let actor = actor.to_string();
        sqlx::query!(
            "insert into runtime.kubernetes_object (key, name, actor) values ($1, $2, $3)
             on conflict do nothing",
            key,
            name,
            actor,
        )
        .execute(self.pool())
        .await?;
        let row = sqlx::query!(
            "select actor, target from runtime.kubernetes_object where key = $1",
            key,
        )
        .fetch_one(self.pool())
        .await?;
        Ok(if row.actor == actor { Claim::Own(row.target) } else { Claim::Others })
    }

    /// Keeps what became of the request that the object with this uid made.
    pub async fn object_became(
        &self,
        key: &str,
        uid: &str,
        target: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update runtime.kubernetes_object set target = $2, uid = $3 where key = $1",
            key,
            target,
            uid,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// What became of the request that the object with this uid made.
    pub async fn became(&self, uid: &str) -> Result<Option<Uuid>, StoreError> {
        let target = sqlx::query_scalar!(
            "select target from runtime.kubernetes_object where uid = $1",
            uid,
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(target.flatten())
    }

    /// The names of the objects that asked for these sessions or runs.
    pub async fn objects_of(&self, targets: &[Uuid]) -> Result<Vec<(Uuid, String)>, StoreError> {
        let rows = sqlx::query!(
            r#"select target as "target!", name from runtime.kubernetes_object
               where target = any($1)"#,
            targets,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (row.target, row.name)).collect())
    }
}
