use domain::{
    access::Sight,
    ids::{BundleDigest, CredentialId, RunId, SessionId},
};
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    Cursor, NotACursor, Views,
    sight::{bind_sight, condition},
};
use crate::{
    ViewError,
    model::{BundleRow, Group, RunRow, SessionRow, TimelineRow},
};

/// Some items of a list, and where it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where it goes on; none at its end.
    pub next: Option<Cursor>,
}

/// Which sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Those in the archive, in place of those that are not.
    pub archived: bool,
    /// Those of one group.
    pub group: Option<Group>,
    /// Those of one repository, `owner/name`.
    pub repo: Option<String>,
    /// Those with this in their title, repository, branch or in the number of their issue or pull request.
    pub q: Option<String>,
}

/// How many sessions of each group are not in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As [`Group::NeedsYou`].
    pub needs_you: u64,
    /// As [`Group::Working`].
    pub working: u64,
    /// As [`Group::Waiting`].
    pub waiting: u64,
    /// As [`Group::Done`].
    pub done: u64,
    /// Those in the archive, of whatever group.
    pub archived: u64,
}

/// Which runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Those of one session.
    pub session: Option<SessionId>,
    /// Those that have not ended.
    pub active: bool,
}

impl SessionFilter {
    /// The list's name: a cursor of another filter is one of another list.
    fn list(&self) -> String {
        let Self { archived, group, repo, q } = self;
        format!("sessions {archived} {group:?} {repo:?} {q:?}")
    }

    fn standing(&self) -> &'static str {
        if self.archived { "archived" } else { "open" }
    }
}

impl RunFilter {
    fn list(&self) -> String {
        format!("runs {} {}", self.session.unwrap_or(SessionId(Uuid::nil())), self.active)
    }

    /// The condition, with the session as `$3`: each is a text of its own, so that each is planned for the
    /// index that it needs.
    fn condition(&self) -> &'static str {
        match (self.session, self.active) {
            (None, false) => "$3::uuid is null",
            (None, true) => "$3::uuid is null and (active or queued)",
            (Some(_), false) => "session = $3",
            (Some(_), true) => "session = $3 and (active or queued)",
        }
    }
}

/// The end of every list that begins with the newest: ids are in the order of time.
const NEWEST: Uuid = Uuid::max();

impl Views {
    /// Sessions that somebody sees, the newest first.
    pub async fn sessions(
        &self,
        sight: &Sight,
        filter: &SessionFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<SessionRow>, NotACursor>, ViewError> {
        let list = filter.list();
        let Ok(before) = start(&list, cursor, NEWEST) else { return Ok(Err(NotACursor)) };
        let seen = condition(sight, 7);
        let sql = format!(
            "select body::text from view.session s where standing = $2 and id < $1
               and ($4::text is null or work = $4)
               and ($5::text is null or repo = $5)
               and ($6::text is null or strpos(about, $6) > 0 or exists (
                 select from paddock.event_text t
                 where t.id = s.title and strpos(lower(convert_from(t.bytes, 'UTF8')), $6) > 0))
               and {seen}
             order by id desc limit $3",
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(before)
            .bind(filter.standing())
            .bind(i64::from(limit) + 1)
            .bind(filter.group.map(Group::as_str))
            .bind(filter.repo.as_ref().map(|repo| repo.to_lowercase()))
            .bind(filter.q.as_ref().map(|q| q.to_lowercase()));
        let bodies: Vec<String> = bind_sight!(query, sight).fetch_all(&self.pool).await?;
        Ok(Ok(page(&list, &bodies, limit, |row: &SessionRow| row.id.to_string())?))
    }

    /// How many sessions of each group somebody sees.
    pub async fn counts(&self, sight: &Sight) -> Result<Counts, ViewError> {
        let seen = condition(sight, 1);
        let sql = format!(
            "select standing = 'archived', work, count(*) from view.session s
             where standing <> 'deleted' and {seen} group by 1, 2"
        );
        let query = sqlx::query_as(AssertSqlSafe(sql));
        let rows: Vec<(bool, String, i64)> =
            bind_sight!(query, sight).fetch_all(&self.pool).await?;
        let sum = |archived: bool, group: Option<Group>| {
            let of = |work: &str| group.is_none_or(|group| group.as_str() == work);
            let counted = rows.iter().filter(|(stored, work, _)| *stored == archived && of(work));
            counted.map(|(.., count)| count.unsigned_abs()).sum()
        };
        Ok(Counts {
            needs_you: sum(false, Some(Group::NeedsYou)),
            working: sum(false, Some(Group::Working)),
            waiting: sum(false, Some(Group::Waiting)),
            done: sum(false, Some(Group::Done)),
            archived: sum(true, None),
        })
    }

    /// Runs of sessions that somebody sees, the newest first.
    pub async fn runs(
        &self,
        sight: &Sight,
        filter: &RunFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<RunRow>, NotACursor>, ViewError> {
        let list = filter.list();
        let Ok(before) = start(&list, cursor, NEWEST) else { return Ok(Err(NotACursor)) };
        let sql = format!(
            "select body::text from view.run r where {} and id < $1
               and ({} exists (select from view.session s where s.id = r.session and {}))
             order by id desc limit $2",
            filter.condition(),
            if sight.everything { "true or" } else { "" },
            condition(sight, 4),
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(before)
            .bind(i64::from(limit) + 1)
            .bind(filter.session.map(|session| session.0));
        let bodies: Vec<String> = bind_sight!(query, sight).fetch_all(&self.pool).await?;
        Ok(Ok(page(&list, &bodies, limit, |row: &RunRow| row.id.to_string())?))
    }

    /// Runs that used a credential, of sessions that somebody sees; the newest first.
    pub async fn runs_using(
        &self,
        sight: &Sight,
        credential: CredentialId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<RunRow>, NotACursor>, ViewError> {
        let list = format!("runs using {credential}");
        let Ok(before) = start(&list, cursor, NEWEST) else { return Ok(Err(NotACursor)) };
        let sql = format!(
            "select body::text from view.run r where credential = $3 and id < $1
               and ({} exists (select from view.session s where s.id = r.session and {}))
             order by id desc limit $2",
            if sight.everything { "true or" } else { "" },
            condition(sight, 4),
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(before)
            .bind(i64::from(limit) + 1)
            .bind(credential.0);
        let bodies: Vec<String> = bind_sight!(query, sight).fetch_all(&self.pool).await?;
        Ok(Ok(page(&list, &bodies, limit, |row: &RunRow| row.id.to_string())?))
    }

    /// The sessions of those ids, unless they were deleted.
    pub async fn sessions_by_id(&self, ids: &[SessionId]) -> Result<Vec<SessionRow>, ViewError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let bodies: Vec<String> = sqlx::query_scalar(
            "select body::text from view.session where id = any($1) and standing <> 'deleted'
             order by id",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
    }

    /// The runs of those ids.
    pub async fn runs_by_id(&self, ids: &[RunId]) -> Result<Vec<RunRow>, ViewError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let bodies: Vec<String> =
            sqlx::query_scalar("select body::text from view.run where id = any($1)")
                .bind(ids)
                .fetch_all(&self.pool)
                .await?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
    }

    /// A run's time line, the oldest first.
    pub async fn timeline(
        &self,
        run: RunId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<TimelineRow>, NotACursor>, ViewError> {
        let list = format!("timeline {run}");
        let Ok(after) = start(&list, cursor, 0_i64) else { return Ok(Err(NotACursor)) };
        let bodies: Vec<String> = sqlx::query_scalar(
            "select body::text from view.run_timeline where run = $1 and version > $2
             order by version limit $3",
        )
        .bind(run.0)
        .bind(after)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        Ok(Ok(page(&list, &bodies, limit, |row: &TimelineRow| row.version.to_string())?))
    }

    /// A session's bundles that are in the store, the newest first.
    pub async fn bundles(
        &self,
        session: SessionId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<BundleRow>, NotACursor>, ViewError> {
        let list = format!("bundles {session}");
        let Ok(before) = start(&list, cursor, i64::MAX) else { return Ok(Err(NotACursor)) };
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select position, body::text from view.bundle
             where session = $1 and not expired and position < $2
             order by position desc limit $3",
        )
        .bind(session.0)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        let (positions, bodies): (Vec<i64>, Vec<String>) = rows.into_iter().unzip();
        let mut positions = positions.into_iter();
        let last = positions.nth(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(1));
        Ok(Ok(page(&list, &bodies, limit, |_: &BundleRow| last.unwrap_or_default().to_string())?))
    }

    /// One of a session's bundles, if it is in the store.
    pub async fn bundle(
        &self,
        session: SessionId,
        digest: &BundleDigest,
    ) -> Result<Option<BundleRow>, ViewError> {
        let body: Option<String> = sqlx::query_scalar(
            "select body::text from view.bundle where session = $1 and id = $2 and not expired",
        )
        .bind(session.0)
        .bind(&digest.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }
}

pub(super) fn start<K: std::str::FromStr>(
    list: &str,
    cursor: Option<&str>,
    first: K,
) -> Result<K, NotACursor> {
    cursor.map_or(Ok(first), |cursor| Cursor::key(list, cursor))
}

/// One row more than asked for tells that the list goes on.
fn page<T: DeserializeOwned>(
    list: &str,
    bodies: &[String],
    limit: u32,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, ViewError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = bodies.iter().take(limit).map(|body| serde_json::from_str(body));
    let items: Vec<T> = shown.collect::<Result<_, _>>()?;
    let more = bodies.len() > limit;
    let next = items.last().filter(|_| more).map(|last| Cursor::after(list, key(last)));
    Ok(Page { items, next })
}
