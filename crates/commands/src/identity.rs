use domain::ids::{Generation, RunId};
use uuid::Uuid;

use crate::{Commands, StoreError};

impl Commands {
    /// Records the identity of a run's sidecar, by the SHA-256 of its token. A token issued before for
    /// the same generation stops working.
    pub async fn issue_identity(
        &self,
        run: RunId,
        generation: Generation,
        token_sha256: [u8; 32],
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into runtime.run_identity (run, generation, token_sha256) values ($1, $2, $3)
             on conflict (run, generation)
             do update set token_sha256 = excluded.token_sha256, issued_at = now()",
            run.0,
            i32::try_from(generation.0).unwrap_or(i32::MAX),
            &token_sha256[..],
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whose token has this SHA-256.
    pub async fn identify(
        &self,
        token_sha256: [u8; 32],
    ) -> Result<Option<(RunId, Generation)>, StoreError> {
        let row = sqlx::query!(
            "select run, generation from runtime.run_identity where token_sha256 = $1",
            &token_sha256[..],
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (RunId(row.run), Generation(row.generation.unsigned_abs()))))
    }

    /// Records which pod is a run's workload, by the uid that the cluster gave it.
    pub async fn record_pod(
        &self,
        run: RunId,
        generation: Generation,
        pod: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into runtime.run_pod (pod, run, generation) values ($1, $2, $3)
             on conflict (pod) do nothing",
            pod,
            run.0,
            i32::try_from(generation.0).unwrap_or(i32::MAX),
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whose workload a pod is.
    pub async fn workload_of_pod(
        &self,
        pod: Uuid,
    ) -> Result<Option<(RunId, Generation)>, StoreError> {
        let row = sqlx::query!("select run, generation from runtime.run_pod where pod = $1", pod)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map(|row| (RunId(row.run), Generation(row.generation.unsigned_abs()))))
    }
}
