use chrono::{DateTime, Utc};
use domain::ids::RunId;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

/// The most bytes of a host's name or a rule that are kept.
const MAX_TEXT: usize = 255;

/// What a gateway decided about one connection or request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The gateway's own id of it: reported twice, it is kept once.
    pub id: Uuid,
    /// Whose it was.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
    /// By which way.
    pub kind: Kind,
    /// The host, as it was dialled.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What was decided.
    pub verdict: Verdict,
    /// By which rule.
    pub rule: String,
    /// The address that was dialled, if one was.
    #[serde(default)]
    pub address: Option<String>,
    /// Bytes from the run.
    #[serde(default)]
    pub bytes_up: u64,
    /// Bytes to the run.
    #[serde(default)]
    pub bytes_down: u64,
    /// How long it took.
    #[serde(default)]
    pub duration_ms: u64,
    /// The HTTP status of the answer, where the gateway saw it.
    #[serde(default)]
    pub status: Option<u16>,
}

/// By which way something went out, or tried to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tunnel.
    Connect,
    /// A request in absolute form.
    Http,
    /// The model's route.
    Model,
    /// The repository's route.
    Git,
}

/// What a gateway decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It went out.
    Allowed,
    /// It did not.
    Refused,
}

/// Where a page of decisions goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last one on the page before was.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// The decisions of all gateways. Cheap to clone.
#[derive(Clone)]
pub struct Decisions {
    pool: PgPool,
}

impl Decisions {
    /// The decisions stored in `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// At most `limit` of a run's decisions after `after`, the oldest first.
    pub async fn of_run(
        &self,
        run: RunId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<Decision>, sqlx::Error> {
        let after = after.unwrap_or(Cursor { at: DateTime::UNIX_EPOCH, id: Uuid::nil() });
        let rows = sqlx::query!(
            "select id, run, at, kind, host, port, verdict, rule, address, bytes_up, bytes_down,
               duration_ms, status
             from runtime.gateway_decision where run = $1 and (at, id) > ($2, $3)
             order by at, id limit $4",
            run.0,
            after.at,
            after.id,
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        let decisions = rows.into_iter().map(|row| Decision {
            id: row.id,
            run: RunId(row.run),
            at: row.at,
            kind: Kind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == row.kind)
                .unwrap_or(Kind::Http),
            host: row.host,
            port: u16::try_from(row.port).unwrap_or(0),
            verdict: if row.verdict == ALLOWED { Verdict::Allowed } else { Verdict::Refused },
            rule: row.rule,
            address: row.address,
            bytes_up: row.bytes_up.unsigned_abs(),
            bytes_down: row.bytes_down.unsigned_abs(),
            duration_ms: row.duration_ms.unsigned_abs(),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
        });
        Ok(decisions.collect())
    }

    /// Keeps decisions; those that are there already stay as they are.
    pub(super) async fn keep(&self, decisions: Vec<Decision>) -> Result<(), sqlx::Error> {
        let mut rows = Rows::default();
        for decision in decisions {
            rows.push(&decision);
        }
        sqlx::query!(
            "insert into runtime.gateway_decision
               (id, run, at, kind, host, port, verdict, rule, address, bytes_up, bytes_down,
                duration_ms, status)
             select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[],
               $6::integer[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[],
               $12::bigint[], $13::integer[])
             on conflict (id) do nothing",
            &rows.id,
            &rows.run,
            &rows.at,
            &rows.kind,
            &rows.host,
            &rows.port,
            &rows.verdict,
            &rows.rule,
            &rows.address as &[Option<String>],
            &rows.bytes_up,
            &rows.bytes_down,
            &rows.duration_ms,
            &rows.status as &[Option<i32>],
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

const ALLOWED: &str = "allowed";

impl Kind {
    const ALL: [Self; 4] = [Self::Connect, Self::Http, Self::Model, Self::Git];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Http => "http",
            Self::Model => "model",
            Self::Git => "git",
        }
    }
}

#[derive(Default)]
struct Rows {
    id: Vec<Uuid>,
    run: Vec<Uuid>,
    at: Vec<DateTime<Utc>>,
    kind: Vec<String>,
    host: Vec<String>,
    port: Vec<i32>,
    verdict: Vec<String>,
    rule: Vec<String>,
    address: Vec<Option<String>>,
    bytes_up: Vec<i64>,
    bytes_down: Vec<i64>,
    duration_ms: Vec<i64>,
    status: Vec<Option<i32>>,
}

impl Rows {
    fn push(&mut self, decision: &Decision) {
        let verdict = match decision.verdict {
            Verdict::Allowed => ALLOWED,
            Verdict::Refused => "refused",
        };
        self.id.push(decision.id);
        self.run.push(decision.run.0);
        self.at.push(decision.at);
        self.kind.push(decision.kind.as_str().to_owned());
        self.host.push(kept(&decision.host));
        self.port.push(decision.port.into());
        self.verdict.push(verdict.to_owned());
        self.rule.push(kept(&decision.rule));
        self.address.push(decision.address.as_deref().map(kept));
        self.bytes_up.push(number(decision.bytes_up));
        self.bytes_down.push(number(decision.bytes_down));
        self.duration_ms.push(number(decision.duration_ms));
        self.status.push(decision.status.map(Into::into));
    }
}

/// A host comes from inside a sandbox: it is cut to size, and what PostgreSQL cannot hold is replaced.
fn kept(text: &str) -> String {
    let mut kept = text.replace('\0', "\u{fffd}");
    kept.truncate(kept.floor_char_boundary(MAX_TEXT));
    kept
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
