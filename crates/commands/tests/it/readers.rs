//! The three usual ways to read the tail of an event table, all of them wrong. They stay here to show
//! that the tests of the fourth way could see it fail.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A way to read the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `seq > last`.
    A,
    /// `xid < xmin` and `seq > last`.
    B,
    /// `xid < xmin` and `(xid, seq) > last`.
    C,
}

/// What a reader delivered, in its order.
pub(crate) struct Delivered(Vec<(Uuid, String, i64)>);

/// Reads until told to stop, and then once more.
pub(crate) fn read(url: String, way: Way, stop: CancellationToken) -> JoinHandle<Delivered> {
    tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let (mut xid, mut seq) = ("0".to_owned(), 0_i64);
        let mut delivered = vec![];
        loop {
            let last = stop.is_cancelled();
            let rows = sqlx::query(way.statement())
                .bind(&xid)
                .bind(seq)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            for row in rows {
                delivered.push((row.get("id"), row.get("stream"), row.get("version")));
                (xid, seq) = (row.get("xid"), row.get("seq"));
            }
            if last {
                return Delivered(delivered);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

impl Way {
    const fn statement(self) -> &'static str {
        match self {
            Self::A => {
                "select id, stream, version, xid::text as xid, seq from paddock.event
                 where seq > $2 and $1 <> '' order by seq"
            }
            Self::B => {
                "select id, stream, version, xid::text as xid, seq from paddock.event
                 where xid < pg_snapshot_xmin(pg_current_snapshot()) and seq > $2 and $1 <> ''
                 order by seq"
            }
            Self::C => {
                "select id, stream, version, xid::text as xid, seq from paddock.event
                 where xid < pg_snapshot_xmin(pg_current_snapshot()) and (xid, seq) > ($1::xid8, $2)
                 order by paddock.event.xid, seq"
            }
        }
    }
}

/// What a reader got wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) missed: usize,
    pub(crate) twice: usize,
    pub(crate) inversions: usize,
}

impl Delivered {
    pub(crate) fn new(events: Vec<(Uuid, String, i64)>) -> Self {
        Self(events)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn faults(&self, committed: &HashMap<Uuid, (String, i64)>) -> Faults {
        let mut seen: HashMap<Uuid, usize> = HashMap::new();
        let mut heads: HashMap<&str, i64> = HashMap::new();
        let mut faults = Faults::default();
        for (id, stream, version) in &self.0 {
            let times = seen.entry(*id).or_default();
            *times += 1;
            if *times > 1 {
                faults.twice += 1;
                continue;
            }
            let head = heads.entry(stream).or_default();
            if *version < *head {
                faults.inversions += 1;
            }
            *head = (*head).max(*version);
        }
        faults.missed = committed.keys().filter(|id| !seen.contains_key(id)).count();
        faults
    }
}
