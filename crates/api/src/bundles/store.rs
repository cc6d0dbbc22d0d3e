use std::{
    collections::HashMap,
    ops::Range,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use domain::ids::{BundleDigest, Generation, RunId, SessionId};
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path,
};
use sqlx::PgPool;
use url::Url;

use super::BundleError;

/// The bundle store. Cheap to clone.
#[derive(Clone)]
pub struct Bundles {
    pub(super) pool: PgPool,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Where uploads grow: on the same file system, so that completing one is a rename.
    pub(super) partial: PathBuf,
    pub(super) limit: u64,
    uploads: Uploads,
}

/// Uploads under way in this process, by partial file: one writer each.
type Uploads = Arc<Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>>;

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

impl Bundles {
    /// Opens the store at `address`, making its directory where it is missing. A bundle may have at most
    /// `limit` bytes.
    pub async fn open_store(pool: PgPool, address: &Url, limit: u64) -> Result<Self, BundleError> {
        let root = Some(address)
            .filter(|address| address.scheme() == "file")
            .and_then(|address| address.to_file_path().ok())
            .ok_or_else(|| BundleError::Address(address.clone()))?;
        let partial = root.join("partial");
        tokio::fs::create_dir_all(&partial).await?;
        let objects = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
        Ok(Self { pool, objects: Arc::new(objects), partial, limit, uploads: Uploads::default() })
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

    /// Bundles that nothing will restore: superseded for longer than `age` by a newer one of the same
    /// run, or of a deleted session; and not what another session began from. The session's head may be
    /// among them.
    pub async fn superseded(&self, age: Duration) -> Result<Vec<Superseded>, BundleError> {
        let rows = sqlx::query!(
            "select session, digest from runtime.artifact old
             where (
               exists (select from runtime.artifact new
                 where new.run = old.run and new.uploaded_at > old.uploaded_at
                   and new.uploaded_at < now() - make_interval(secs => $1))
               or exists (select from paddock.event
                 where stream = 'session-' || old.session and name = 'session.deleted')
             ) and not exists (select from paddock.event fork
               where fork.stream >= 'session-' and fork.stream < 'session.' and fork.version = 2
                 and fork.name = 'session.forked'
                 and position(convert_to(old.digest, 'UTF8') in fork.body) > 0)
             order by uploaded_at limit 1000",
            age.as_secs_f64(),
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
        let mut removed = 0;
        let mut files = tokio::fs::read_dir(&self.partial).await?;
        while let Some(file) = files.next_entry().await? {
            let stale = file
                .metadata()
                .await
                .and_then(|found| found.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed > age));
            let lock = self.lock(&file.path());
            if stale && lock.try_lock().is_ok() {
                tokio::fs::remove_file(file.path()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The lock on a partial file.
    pub(super) fn lock(&self, file: &FilePath) -> Arc<tokio::sync::Mutex<()>> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = uploads.get(file).and_then(Weak::upgrade) {
            return lock;
        }
        uploads.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        uploads.insert(file.to_owned(), Arc::downgrade(&lock));
        lock
    }
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
