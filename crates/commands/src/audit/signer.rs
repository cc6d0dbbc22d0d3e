//! The signer: every second, or 1,000 positions, one signed checkpoint.
//!
//! One signs, by an advisory lock; what two that both believe to hold it would do is settled by the number of the
//! checkpoint, which is a primary key. It reads each leaf once and keeps the tree in memory, so what it signs goes on
//! from what it signed. When it begins, it compares the stored tree with the last checkpoint, and with what it
//! remembers outside of the database: an owner of the database who rewrote it finds no signature for that.

use std::time::Duration;

use audit::{Checkpoint, SignedCheckpoint, SigningKey, VerifyingKey, tile::Growing};
use domain::{
    event::{Actor, Event, Part},
    log::Event as LogEvent,
    stream::StreamId,
    tree::Tree,
};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::{memory::Memory, parsed, tree};
use crate::{
    Caused, CommandError, Commands, Progress, Standing, StoreError,
    election::{Office, elected},
    log::{self, Epoch, EpochError},
    store::append::signed,
};

/// The longest time between a position and the checkpoint that covers it, while all is well.
const EVERY: Duration = Duration::from_secs(1);
/// So many new positions are signed sooner.
const MANY: u64 = 1_000;
/// How many leaves are read at once.
const READ: i64 = 20_000;
/// How long a signer that cannot sign waits before it looks again.
const AGAIN: Duration = Duration::from_secs(5);

/// What the signer signs with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key.
    pub key: SigningKey,
    /// The key before, which hands over to it.
    pub previous: Option<SigningKey>,
    /// What it remembers of what it signed.
    pub memory: Option<Memory>,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Epoch(#[from] EpochError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("what was signed cannot be remembered: {0}")]
    Memory(#[from] std::io::Error),
    #[error(
        "{signed} positions were signed, and the database holds other ones: it was rewritten or rolled back. \
         Compare it with a backup; if it was restored, `paddock log adopt` says so in the log"
    )]
    Rewritten { signed: u64 },
    #[error(
        "the log is signed by {before}: give that key as PADDOCK_AUDIT_PREVIOUS_KEY_FILE, so that it hands over to \
         the new one"
    )]
    OtherKey { before: String },
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Epoch(error.into())
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Epoch(error.into())
    }
}

/// Signs until told to stop: waits for the lock, works, and starts again after any failure.
pub async fn run(commands: Commands, keys: Keys, progress: Progress, shutdown: CancellationToken) {
    let report = |standing: Standing| progress.set_signer(&standing);
    while !shutdown.is_cancelled() {
        let tenure = async {
            let office = Some(Office::Signer);
            let elected = elected(commands.pool(), office, report, &shutdown).await?;
            let Some(mut connection) = elected else { return Ok(()) };
            tenure(&mut connection, &commands, &keys, &progress, &shutdown).await
        };
        let wait = match tenure.await {
            Ok(()) => continue,
            Err(stop) => {
                report(standing(&stop));
                if matches!(stop, Stop::Rewritten { .. } | Stop::OtherKey { .. }) {
                    AGAIN
                } else {
                    EVERY
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn standing(stop: &Stop) -> Standing {
    match stop {
        Stop::Epoch(error) => error.standing(),
        Stop::Command(_) | Stop::Memory(_) => Standing::down(stop),
        Stop::Rewritten { .. } | Stop::OtherKey { .. } => Standing::Halted(stop.to_string()),
    }
}

/// The newest checkpoint, as a signer needs it.
struct Last {
    number: i64,
    size: u64,
    key: Option<VerifyingKey>,
    checkpoint: Option<SignedCheckpoint>,
}

async fn last(connection: &mut PgConnection) -> Result<Last, StoreError> {
    let row = sqlx::query!(
        "select number, size, note, key from paddock.checkpoint order by number desc limit 1"
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Last { number: 0, size: 0, key: None, checkpoint: None });
    };
    Ok(Last {
        number: row.number,
        size: row.size.unsigned_abs(),
        key: VerifyingKey::parse(&row.key).ok(),
        checkpoint: Some(parsed(&row.note)?),
    })
}

/// The keys that signed up to a size, the oldest first: the first checkpoint's, and those that were handed over to.
pub(super) async fn keys(
    connection: &mut PgConnection,
    size: i64,
) -> Result<Vec<VerifyingKey>, StoreError> {
    let first = sqlx::query_scalar!("select key from paddock.checkpoint order by number limit 1")
        .fetch_optional(&mut *connection)
        .await?;
    let rotated = sqlx::query_scalar!(
        "select e.body from paddock.event e join paddock.log l on l.event = e.id
         where e.stream = $1 and e.name = 'log.key.rotated' and l.position <= $2 order by e.version",
        StreamId::LOG.to_string(),
        size,
    )
    .fetch_all(connection)
    .await?;
    let rotated = rotated.iter().filter_map(|body| {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        Some(body["to"].as_str()?.to_owned())
    });
    let mut keys: Vec<VerifyingKey> = vec![];
    for key in first.into_iter().chain(rotated).filter_map(|key| VerifyingKey::parse(&key).ok()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The tree as it was signed, and who signs it on.
struct Signing<'a> {
    keys: &'a Keys,
    tree: Tree,
    growing: Growing,
    number: i64,
    epoch: Epoch,
    /// Whether the key before hands over: both sign the first checkpoint that covers the event that says so.
    hands_over: bool,
    /// Whether that event has a position already.
    handed: bool,
}

async fn tenure(
    connection: &mut PgConnection,
    commands: &Commands,
    keys: &Keys,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> Result<(), Stop> {
    let (epoch, _) = log::current_epoch(&mut *connection).await?;
    let last = last(&mut *connection).await?;
    let tree =
        tree::tree(&mut *connection, last.size).await.map_err(|error| missing(error, last.size))?;
    let growing = tree::growing(&mut *connection, last.size).await?;
    let remembered = match &keys.memory {
        Some(memory) => memory.recall()?,
        None => None,
    };
    holds(&mut *connection, &last, remembered.as_ref(), &tree, &epoch).await?;
    let mut signing = Signing {
        keys,
        tree,
        growing,
        number: last.number,
        epoch,
        hands_over: false,
        handed: false,
    };
    if let Some(before) = last.key.filter(|key| key != keys.key.verifying()) {
        signing.hand_over(commands, &before).await?;
    }
    progress.set_signer(&Standing::Active);
    let mut head = progress.head();
    while !shutdown.is_cancelled() {
        let more = signing.round(&mut *connection).await?;
        if more {
            continue;
        }
        let enough = signing.tree.size() + MANY;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
            Ok(_) = head.wait_for(|head| head.0 >= enough) => {}
        }
        let (epoch, _) = log::current_epoch(&mut *connection).await?;
        signing.epoch = epoch;
    }
    Ok(())
}

/// Leaves that were signed and are not there.
fn missing(error: StoreError, signed: u64) -> Stop {
    match error {
        StoreError::Database(sqlx::Error::RowNotFound) => Stop::Rewritten { signed },
        other => other.into(),
    }
}

/// Whether what is stored is what was signed, by the newest checkpoint and by what is remembered.
async fn holds(
    connection: &mut PgConnection,
    last: &Last,
    remembered: Option<&SignedCheckpoint>,
    tree: &Tree,
    epoch: &Epoch,
) -> Result<(), Stop> {
    if let Some(checkpoint) = &last.checkpoint
        && checkpoint.checkpoint().root != tree.root()
    {
        return Err(Stop::Rewritten { signed: last.size });
    }
    // An adopted log begins a new epoch, and says in itself what it took over.
    let Some(remembered) = remembered.map(SignedCheckpoint::checkpoint) else { return Ok(()) };
    if remembered.epoch != epoch.to_string() {
        return Ok(());
    }
    let rewritten = Stop::Rewritten { signed: remembered.size };
    if remembered.size > last.size {
        return Err(rewritten);
    }
    let then = tree::tree(connection, remembered.size).await?;
    if then.root() == remembered.root { Ok(()) } else { Err(rewritten) }
}

impl Signing<'_> {
    /// Says in the log that another key signs, and has both sign the first checkpoint that covers it.
    async fn hand_over(&mut self, commands: &Commands, before: &VerifyingKey) -> Result<(), Stop> {
        let previous = self.keys.previous.as_ref().filter(|key| key.verifying() == before);
        if previous.is_none() {
            return Err(Stop::OtherKey { before: before.to_string() });
        }
        let (from, to) = (before.to_string(), self.keys.key.verifying().to_string());
        let said = sqlx::query_scalar!(
            r#"select coalesce(l.position <= $3, false) as "signed!"
               from paddock.event e left join paddock.log l on l.event = e.id
               where e.stream = $1 and e.name = 'log.key.rotated'
                 and position(convert_to($2, 'UTF8') in e.body) > 0
               order by e.version desc limit 1"#,
            StreamId::LOG.to_string(),
            format!("\"to\":\"{to}\""),
            signed(self.tree.size()),
        )
        .fetch_optional(commands.pool())
        .await?;
        // Covered already by one that still had the key before alone.
        self.handed = said.unwrap_or_default();
        if said.is_none() {
            let event = Event::Log(LogEvent::KeyRotated { from, to });
            let caused = Caused::by(Actor::System(Part::Signer));
            commands.append_any(StreamId::LOG, event, &caused).await?;
        }
        self.hands_over = true;
        Ok(())
    }

    /// Signs what is new, if anything is; whether there may be more at once.
    async fn round(&mut self, connection: &mut PgConnection) -> Result<bool, Stop> {
        let rows = sqlx::query!(
            r#"select l.position, l.leaf, e.name = 'log.key.rotated' as "rotated!"
               from paddock.log l join paddock.event e on e.id = l.event
               where l.position > $1 order by l.position limit $2"#,
            signed(self.tree.size()),
            READ,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(_) = rows.last() else { return Ok(false) };
        let mut above = vec![];
        for row in &rows {
            if row.position.unsigned_abs() != self.tree.size() + 1 {
                return Err(Stop::Rewritten { signed: self.tree.size() });
            }
            let leaf = row.leaf[..].try_into().unwrap_or_default();
            self.tree.push(leaf);
            self.growing.push(leaf, &mut above);
            self.handed |= row.rotated && self.hands_over;
        }
        let checkpoint = Checkpoint {
            origin: self.keys.key.verifying().name().to_owned(),
            size: self.tree.size(),
            root: self.tree.root(),
            epoch: self.epoch.to_string(),
        };
        let mut signers = vec![];
        // Until the handover has a position the key before signs alone, and then both do, once.
        match (&self.keys.previous, self.hands_over) {
            (Some(previous), true) if self.handed => signers.extend([previous, &self.keys.key]),
            (Some(previous), true) => signers.push(previous),
            _ => signers.push(&self.keys.key),
        }
        let key = signers[signers.len() - 1].verifying().to_string();
        let signed_now = checkpoint.sign(&signers);
        self.number += 1;
        let levels: Vec<i16> = above.iter().map(|hash| i16::from(hash.level)).collect();
        let places: Vec<i64> = above.iter().map(|hash| signed(hash.place)).collect();
        let hashes: Vec<Vec<u8>> = above.iter().map(|hash| hash.hash.to_vec()).collect();
        // In one statement: the hashes above, and what was signed of them.
        sqlx::query!(
            "with above as (
               insert into paddock.tree_hash (level, place, hash)
               select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
             )
             insert into paddock.checkpoint (number, size, root, note, key, time)
             values ($4, $5, $6, $7, $8, now())",
            &levels,
            &places,
            &hashes,
            self.number,
            signed(self.tree.size()),
            &self.tree.root()[..],
            signed_now.note(),
            key,
        )
        .execute(connection)
        .await?;
        self.hands_over &= !self.handed;
        if let Some(memory) = &self.keys.memory {
            memory.keep(&signed_now)?;
        }
        Ok(i64::try_from(rows.len()) == Ok(READ))
    }
}
