//! Giving and taking roles.

use domain::{
    binding::{Command, Grant, id_of},
    ids::BindingId,
};
use sqlx::{Postgres, Transaction};

use super::bindings;
use crate::{Accepted, Caused, CommandError, Commands, handler::work::Work};

/// Whoever takes a role waits for whoever else does: two admins do not take each other's at once.
const LOCK: i64 = 0x7061_6464_726f_6c65;

impl Commands {
    /// Gives a role. The binding's id follows from what it says, so that it is there once.
    pub async fn grant_role(&self, grant: Grant, caused: Caused) -> Result<Accepted, CommandError> {
        let id = id_of(&grant.subject, grant.role, grant.scope);
        self.handle(Work::Binding { id, command: Command::Grant(grant) }, caused).await
    }

    /// Takes a role. `configured` says whether an admin is named by configuration, so that there is one
    /// whatever is revoked.
    pub async fn revoke_role(
        &self,
        id: BindingId,
        configured: bool,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        let mut tx = self.pool().begin().await?;
        let answer = self.revoke_in_tx(&mut tx, id, configured, &caused).await;
        match &answer {
            Ok(_) => {
                tx.commit().await?;
                self.doorbell().ring();
            }
            Err(error) => {
                tx.rollback().await?;
                if let Some(code) = error.refusal() {
                    let target = Some(id.into());
                    self.refused(caused.actor, "binding.revoke", target, code, &caused.request)
                        .await?;
                }
            }
        }
        answer
    }

    async fn revoke_in_tx(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: BindingId,
        configured: bool,
        caused: &Caused,
    ) -> Result<Accepted, CommandError> {
        sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).execute(&mut **tx).await?;
        let (_, all) = bindings::all(&mut **tx).await?;
        let mut others = all.iter().filter(|binding| binding.id != id);
        let last_admin = !configured && !others.any(|binding| binding.grant.is_global_admin());
        let command = Command::Revoke { last_admin };
        self.in_tx(tx, &Work::Binding { id, command }, caused).await
    }
}
