use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use artifacts::{Remote, Space};
use bytes::Bytes;
use domain::{
    ids::{BundleDigest, Generation, RunId, SessionId},
    settings::Retention,
};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use sqlx::{PgConnection, PgPool};
use url::Url;

use super::BundleError;

/// The bundle store. Cheap to clone.
#[derive(Clone)]
pub struct Bundles {
    pub(super) pool: PgPool,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) limit: u64,
    uploads: Uploads,
    room: Room,
}

/// Where it can be seen how much room there is.
#[derive(Clone, Debug)]
enum Room {
    Here(std::path::PathBuf),
    There(Remote),
    /// The store does not tell.
    Untold,
}

/// Uploads under way in this process, by where their pieces go: one writer each.
type Uploads = Arc<Mutex<HashMap<Path, Weak<tokio::sync::Mutex<()>>>>>;

/// Whose upload it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploader {
    /// The session.
    pub session: SessionId,
    /// Its run.
    pub run: RunId,
    /// The generation of the run's workload.
    pub generation: Generation,
}

/// A bundle that may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// Whose it is.
    pub session: SessionId,
    /// Its name.
    pub digest: BundleDigest,
}

/// A bundle's bytes, or a range of them.
pub struct Content {
    /// The size of the whole bundle.
    pub size: u64,
    /// Which bytes the stream holds.
    pub range: Range<u64>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

/// How long bundles are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Those that a newer one of the same run superseded.
    pub superseded: Duration,
    /// A session's older ones, in days; none: as long as the session.
    pub days: Option<u32>,
}

impl From<&Retention> for Kept {
    fn from(retention: &Retention) -> Self {
        let minutes = u64::from(retention.superseded_bundle_minutes);
        Self { superseded: Duration::from_secs(minutes * 60), days: retention.bundle_days }
    }
}

impl Bundles {
    /// Opens the store at `address`: `file:///directory`, which is made where it is missing; `http://host:port`
    /// of `paddock artifacts`, for whoever has its `token`; or `s3://bucket/prefix`, with what the environment's
    /// `AWS_*` variables say of its endpoint, region and credentials. A bundle may have at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Where the address is none of them, or the directory cannot be made. Whether another host answers is
    /// seen with the first bundle.
    pub async fn open_store(
        pool: PgPool,
        address: &Url,
        token: Option<&str>,
        limit: u64,
    ) -> Result<Self, BundleError> {
        let not = || BundleError::Address(address.clone());
        match address.scheme() {
            "file" => {
                let root = address.to_file_path().map_err(|()| not())?;
                tokio::fs::create_dir_all(&root).await?;
                let store = LocalFileSystem::new_with_prefix(&root)?;
                let store = store.with_fsync(true).with_automatic_cleanup(true);
                Ok(Self::of(pool, Arc::new(store), limit).with_room(Room::Here(root)))
            }
            "s3" => {
                let prefix = Path::from_url_path(address.path()).map_err(|_| not())?;
                let store = AmazonS3Builder::from_env().with_url(address.as_str()).build()?;
                Ok(Self::of(pool, Arc::new(PrefixStore::new(store, prefix)), limit))
            }
            "http" | "https" => {
                let token = token.ok_or_else(|| BundleError::Token(address.clone()))?;
                let store = Remote::new(address.clone(), token)?;
                let room = Room::There(store.clone());
                Ok(Self::of(pool, Arc::new(store), limit).with_room(room))
            }
            _ => Err(not()),
        }
    }

    /// A store that keeps its bundles as `objects`.
    #[must_use]
    pub fn of(pool: PgPool, objects: Arc<dyn ObjectStore>, limit: u64) -> Self {
        Self { pool, objects, limit, uploads: Uploads::default(), room: Room::Untold }
    }

    fn with_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// Whether the store answers, and how much room it has where it tells.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn look(&self) -> Result<Option<Space>, BundleError> {
        match &self.room {
            Room::Here(root) => Ok(Some(Space::of(root)?)),
            Room::There(store) => Ok(Some(store.space().await?)),
            Room::Untold => match self.size(&BundleDigest("0".repeat(64))).await {
                Ok(_) | Err(BundleError::NotFound) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The size of a bundle, whoever asks.
    pub(super) async fn size(&self, digest: &BundleDigest) -> Result<u64, BundleError> {
        match self.objects.head(&object(digest)?).await {
            Ok(meta) => Ok(meta.size),
            Err(object_store::Error::NotFound { .. }) => Err(BundleError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a bundle, or a range of it, whoever asks: the caller has authorised it.
    pub async fn open(
        &self,
        digest: &BundleDigest,
        range: Option<Range<u64>>,
    ) -> Result<Content, BundleError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        match self.objects.get_opts(&object(digest)?, options).await {
            Ok(found) => Ok(Content {
                size: found.meta.size,
                range: found.range.clone(),
                bytes: found.into_stream().boxed(),
            }),
            Err(object_store::Error::NotFound { .. }) => Err(BundleError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// The size of a bundle that `session` uploaded, whole; none where there is no such.
    pub async fn uploaded(
        &self,
        session: SessionId,
        digest: &BundleDigest,
    ) -> Result<Option<u64>, BundleError> {
        let size = sqlx::query_scalar!(
            "select size from runtime.artifact where session = $1 and digest = $2",
            session.0,
            digest.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(size.map(i64::unsigned_abs))
    }

    /// The size of a bundle that `session` uploaded, whole, and is about to use: as if uploaded now.
    pub(super) async fn reuse(
        &self,
        session: SessionId,
        digest: &BundleDigest,
    ) -> Result<Option<u64>, BundleError> {
        let size = sqlx::query_scalar!(
            "update runtime.artifact set uploaded_at = now() where session = $1 and digest = $2
             returning size",
            session.0,
            digest.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(size.map(i64::unsigned_abs))
    }

    /// Bundles that nothing will restore: superseded for long enough by a newer one of the same run, or of a
    /// deleted session, or older than bundles are kept where their session has a newer one; and not what another
    /// session began from. The session's head may be among them.
    pub async fn superseded(&self, kept: Kept) -> Result<Vec<Superseded>, BundleError> {
        let rows = sqlx::query!(
            "select session, digest from runtime.artifact old
             where (
               exists (select from runtime.artifact new
                 where new.run = old.run and new.uploaded_at > old.uploaded_at
                   and new.uploaded_at < now() - make_interval(secs => $1))
               or exists (select from paddock.event
                 where stream = 'session-' || old.session and name = 'session.deleted')
               or (old.uploaded_at < now() - make_interval(days => $2)
                 and exists (select from runtime.artifact new
                   where new.session = old.session and new.uploaded_at > old.uploaded_at))
             ) and not exists (select from paddock.event fork
               where fork.stream >= 'session-' and fork.stream < 'session.' and fork.version = 2
                 and fork.name = 'session.forked'
                 and position(convert_to(old.digest, 'UTF8') in fork.body) > 0)
             order by uploaded_at limit 1000",
            kept.superseded.as_secs_f64(),
            kept.days.map(|days| i32::try_from(days).unwrap_or(i32::MAX)),
        )
        .fetch_all(&self.pool)
        .await?;
        let superseded = rows.into_iter().map(|row| Superseded {
            session: SessionId(row.session),
            digest: BundleDigest(row.digest),
        });
        Ok(superseded.collect())
    }

    /// Removes a session's bundle; its bytes go with the last session that has it. Whoever calls this
    /// knows that nothing will restore it.
    pub async fn remove(
        &self,
        session: SessionId,
        digest: &BundleDigest,
    ) -> Result<(), BundleError> {
        let object = object(digest)?;
        let mut tx = self.pool.begin().await?;
        only_one(&mut tx, digest).await?;
        sqlx::query!(
            "delete from runtime.artifact where session = $1 and digest = $2",
            session.0,
            digest.0,
        )
        .execute(&mut *tx)
        .await?;
        let others = sqlx::query_scalar!(
            r#"select exists (select from runtime.artifact where digest = $1) as "others!""#,
            digest.0,
        )
        .fetch_one(&mut *tx)
        .await?;
        if !others {
            match self.objects.delete(&object).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes partial uploads that nothing was added to for longer than `age`.
    pub async fn prune_partial(&self, age: Duration) -> Result<u32, BundleError> {
        let mut newest = HashMap::new();
        let mut pieces = self.objects.list(Some(&Path::from(PARTIAL)));
        while let Some(piece) = pieces.try_next().await? {
            let Some(upload) = parent(&piece.location) else { continue };
            let at = newest.entry(upload).or_insert(piece.last_modified);
            *at = (*at).max(piece.last_modified);
        }
        let mut removed = 0;
        for (upload, at) in newest {
            let stale = (chrono::Utc::now() - at).to_std().is_ok_and(|elapsed| elapsed > age);
            let lock = self.lock(&upload);
            if stale && lock.try_lock().is_ok() {
                self.drop_pieces(&upload).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the pieces of an upload.
    pub(super) async fn drop_pieces(&self, upload: &Path) -> Result<(), BundleError> {
        let pieces = self.objects.list(Some(upload)).map_ok(|piece| piece.location).boxed();
        let removed = self.objects.delete_stream(pieces);
        Ok(removed.try_for_each(|_| std::future::ready(Ok(()))).await?)
    }

    /// The lock on an upload.
    pub(super) fn lock(&self, upload: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = uploads.get(upload).and_then(Weak::upgrade) {
            return lock;
        }
        uploads.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        uploads.insert(upload.clone(), Arc::downgrade(&lock));
        lock
    }
}

/// Until the transaction ends, nobody else decides whether a bundle stays or goes: sessions share its bytes.
pub(super) async fn only_one(
    tx: &mut PgConnection,
    digest: &BundleDigest,
) -> Result<(), BundleError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", digest.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Below what the pieces of uploads are.
pub(super) const PARTIAL: &str = "partial";

fn parent(location: &Path) -> Option<Path> {
    let mut parts: Vec<_> = location.parts().collect();
    parts.pop()?;
    Some(Path::from_iter(parts))
}

/// Where a bundle is in the store. Only a digest gets here, so no path is made of anything else.
pub(super) fn object(digest: &BundleDigest) -> Result<Path, BundleError> {
    let name = checked(digest)?;
    Ok(Path::from_iter(["bundle", &name[..2], name]))
}

pub(super) fn checked(digest: &BundleDigest) -> Result<&str, BundleError> {
    let ok = digest.0.len() == 64
        && digest.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if ok { Ok(&digest.0) } else { Err(BundleError::Name) }
}
