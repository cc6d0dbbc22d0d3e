use commands::{Caused, CommandError};
use domain::{actor::Event, ids::UserId};
use sqlx::{Postgres, Transaction};

use crate::{problem::Answer, state::AppState};

/// Commits what changed of a person's together with the event that says so: both or neither. False where others
/// appended to the same stream meanwhile: begin anew.
pub(super) async fn committed(
    state: &AppState,
    mut tx: Transaction<'_, Postgres>,
    user: UserId,
    event: Event,
    caused: &Caused,
) -> Answer<bool> {
    match state.commands.actor_in_tx(&mut tx, user.into(), event, caused).await {
        Ok(()) => {
            tx.commit().await?;
            state.commands.doorbell().ring();
            Ok(true)
        }
        Err(CommandError::Contended) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
