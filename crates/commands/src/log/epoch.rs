//! Which database the log is in. Positions mean the same only within one epoch: after a restore to a
//! point in time or a failover other events may stand at positions that consumers have seen.

use std::{fmt, str::FromStr};

use domain::ids::Position;
use sqlx::PgExecutor;

use crate::{StoreError, progress::Standing};

/// An epoch of the log: the database cluster, its timeline, and how often the log was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// PostgreSQL's own id of the cluster.
    pub system_identifier: u64,
    /// Its timeline: one more after each failover or restore to a point in time.
    pub timeline: u32,
    /// 1, and one more at each adoption.
    pub counter: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.system_identifier, self.timeline, self.counter)
    }
}

/// Why a text is not an epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is <system identifier>-<timeline>-<counter>")]
pub struct NotAnEpoch;

impl FromStr for Epoch {
    type Err = NotAnEpoch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(NotAnEpoch);
        Ok(Self {
            system_identifier: part()?.parse().map_err(|_| NotAnEpoch)?,
            timeline: part()?.parse().map_err(|_| NotAnEpoch)?,
            counter: part()?.parse().map_err(|_| NotAnEpoch)?,
        })
    }
}

/// Why the log must not be extended here.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// The database is not the one that the log was in.
    #[error("the log was in database {recorded} and is in {actual} now")]
    Moved {
        /// What the log says.
        recorded: Epoch,
        /// Where it is.
        actual: Epoch,
    },
    /// Something else speaks against it.
    #[error("{0}")]
    Halted(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EpochError {
    /// How a part stands that met it.
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Store(error) => Standing::down(error),
            Self::Moved { .. } | Self::Halted(_) => Standing::Halted(self.to_string()),
        }
    }
}

impl From<sqlx::Error> for EpochError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What the log says of its epoch, and where it is.
pub(crate) struct Place {
    /// The newest epoch recorded.
    pub(crate) recorded: Epoch,
    /// How many positions that epoch took over.
    pub(crate) size: Position,
    /// The same epoch, if it were of this database.
    pub(crate) actual: Epoch,
    /// Why sequencer and relay are halted, if they are.
    pub(crate) halted: Option<String>,
}

/// Reads the place, whatever it is. Fails on a standby: only a primary is read.
pub(crate) async fn place(executor: impl PgExecutor<'_>) -> Result<Place, StoreError> {
    let row = sqlx::query!(
        r#"select e.counter, e.system_identifier as recorded_system, e.timeline as recorded_timeline, e.size,
             c.system_identifier::text as "actual_system!",
             ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint as "actual_timeline!",
             (select reason from runtime.log_halt) as halted
           from (select * from paddock.epoch order by counter desc limit 1) e, pg_control_system() c"#
    )
    .fetch_one(executor)
    .await?;
    let epoch = |system: &str, timeline: i64| Epoch {
        // PostgreSQL prints the identifier as a signed number.
        system_identifier: system.parse::<i64>().unwrap_or_default().cast_unsigned(),
        timeline: u32::try_from(timeline).unwrap_or_default(),
        counter: row.counter.unsigned_abs(),
    };
    Ok(Place {
        recorded: epoch(&row.recorded_system, row.recorded_timeline),
        size: Position(row.size.unsigned_abs()),
        actual: epoch(&row.actual_system, row.actual_timeline),
        halted: row.halted,
    })
}

/// The epoch in force and the size it took over, if the log may be extended here.
pub async fn current_epoch(executor: impl PgExecutor<'_>) -> Result<(Epoch, Position), EpochError> {
    let place = place(executor).await?;
    if place.recorded != place.actual {
        return Err(EpochError::Moved { recorded: place.recorded, actual: place.actual });
    }
    match place.halted {
        Some(reason) => Err(EpochError::Halted(reason)),
        None => Ok((place.recorded, place.size)),
    }
}
