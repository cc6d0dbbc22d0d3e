//! One active sequencer, one active relay: whoever holds a session advisory lock. The lock ends with
//! its connection, so a dead holder is followed at once. It only saves work: what keeps a holder that
//! does not know that it lost the lock from doing harm is the batch number's primary key and the
//! stream's expected last sequence.

use std::time::Duration;

use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{StoreError, progress::Standing};

/// What can be held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Office {
    Sequencer,
    Relay,
    Signer,
}

impl Office {
    /// The advisory lock's key: `pdk` and a number.
    const fn key(self) -> i64 {
        match self {
            Self::Sequencer => 0x0070_646b_0001,
            Self::Relay => 0x0070_646b_0002,
            Self::Signer => 0x0070_646b_0003,
        }
    }
}

/// How often a standby asks for the lock.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Waits for the office on a connection of its own; none when told to stop first. Without an office, the
/// connection alone.
pub(crate) async fn elected(
    pool: &PgPool,
    office: Option<Office>,
    report: impl Fn(Standing),
    shutdown: &CancellationToken,
) -> Result<Option<PgConnection>, StoreError> {
    let mut connection = pool.connect_options().as_ref().clone().connect().await?;
    // How many events are new differs from one call to the next: a plan for all of them would be wrong.
    // And what is new is few: before the tables are analysed, PostgreSQL takes it for a third of them.
    sqlx::query!("set plan_cache_mode = force_custom_plan").execute(&mut connection).await?;
    sqlx::query!("set enable_seqscan = off").execute(&mut connection).await?;
    let Some(office) = office else { return Ok(Some(connection)) };
    loop {
        let held =
            sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "held!""#, office.key())
                .fetch_one(&mut connection)
                .await?;
        if held {
            return Ok(Some(connection));
        }
        report(Standing::Standby);
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}
