use std::{
    io::Read as _,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use domain::ids::BundleDigest;
use futures::{Stream, StreamExt as _};
use object_store::{ObjectStoreExt as _, path::Path};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{
    BundleError, Bundles, Uploader,
    store::{checked, object},
};

/// How long a body may bring nothing before it counts as broken off.
const STALLED: Duration = Duration::from_mins(1);

/// How far an upload got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// That many bytes are there; more are to come.
    Partial(u64),
    /// All are there and have the right digest.
    Whole,
}

/// The bytes that a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: u64,
    /// One past the last.
    pub(super) end: u64,
    pub(super) total: u64,
}

impl Bundles {
    /// How many bytes of an upload are there, and of a whole one its size.
    pub async fn received(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
    ) -> Result<u64, BundleError> {
        if let Some(size) = self.reuse(uploader.session, digest).await? {
            return Ok(size);
        }
        let Some((path, total)) = self.partial_of(uploader, digest).await? else {
            return Err(BundleError::NotFound);
        };
        let lock = self.lock(&path);
        // While a part is being written, the length is only passing by, and says so.
        let writer = lock.try_lock();
        let have = tokio::fs::metadata(&path).await?.len();
        if writer.is_ok() && have == total {
            // The last part was the last that a process did: what comes after it is done now.
            return match self.complete(uploader, digest, &path, total).await {
                Ok(()) => Ok(total),
                Err(BundleError::Digest) => Err(BundleError::NotFound),
                Err(error) => Err(error),
            };
        }
        Ok(have)
    }

    /// Takes in a part that begins where the bytes received so far end. What arrives stays, even if the
    /// body breaks off; nothing is visible before all of it is there and has the right digest.
    pub(super) async fn receive<E>(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
        part: Part,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Progress, BundleError> {
        if part.total > self.limit {
            return Err(BundleError::TooLarge { limit: self.limit });
        }
        if part.first >= part.end || part.end > part.total {
            return Err(BundleError::Range);
        }
        if self.reuse(uploader.session, digest).await? == Some(part.total) {
            return Ok(Progress::Whole);
        }
        let path = self.partial.join(format!("{}{}", prefix(uploader, digest)?, part.total));
        if self.partial_of(uploader, digest).await?.is_some_and(|(known, _)| known != path) {
            return Err(BundleError::Range);
        }
        let lock = self.lock(&path);
        let _writer = lock.lock().await;
        append(&path, part, body).await?;
        if part.end < part.total {
            return Ok(Progress::Partial(part.end));
        }
        self.complete(uploader, digest, &path, part.total).await?;
        Ok(Progress::Whole)
    }

    async fn complete(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
        path: &FilePath,
        size: u64,
    ) -> Result<(), BundleError> {
        let file = path.to_owned();
        let found = tokio::task::spawn_blocking(move || hash_and_sync(&file))
            .await
            .map_err(std::io::Error::other)??;
        if found != digest.0 {
            tokio::fs::remove_file(path).await?;
            return Err(BundleError::Digest);
        }
        let name = format!("{}{size}", prefix(uploader, digest)?);
        self.objects.rename(&Path::from_iter(["partial", &name]), &object(digest)?).await?;
        sqlx::query!(
            "insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
             values ($1, $2, $3, $4, $5, now()) on conflict (session, digest) do nothing",
            digest.0,
            uploader.session.0,
            uploader.run.0,
            i32::try_from(uploader.generation.0).unwrap_or(i32::MAX),
            i64::try_from(size).unwrap_or(i64::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The partial file of an upload, and how many bytes it is to have in the end.
    async fn partial_of(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
    ) -> Result<Option<(PathBuf, u64)>, BundleError> {
        let prefix = prefix(uploader, digest)?;
        let mut files = tokio::fs::read_dir(&self.partial).await?;
        while let Some(file) = files.next_entry().await? {
            let name = file.file_name();
            let total = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
            if let Some(total) = total {
                return Ok(Some((file.path(), total)));
            }
        }
        Ok(None)
    }
}

/// What the name of a partial file begins with; the size that it is to have ends it. It belongs to one
/// generation: what a stale workload sends mixes with nothing.
fn prefix(uploader: Uploader, digest: &BundleDigest) -> Result<String, BundleError> {
    Ok(format!("{}-{}-{}-", uploader.run, uploader.generation, checked(digest)?))
}

async fn append<E>(
    path: &FilePath,
    part: Part,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(), BundleError> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?;
    let have = file.metadata().await?.len();
    if have != part.first {
        return Err(BundleError::Offset { have });
    }
    let mut left = part.end - part.first;
    let mut body = std::pin::pin!(body);
    let ended = loop {
        let Ok(next) = tokio::time::timeout(STALLED, body.next()).await else {
            break Err(BundleError::BrokenOff);
        };
        match next {
            Some(Ok(bytes)) if bytes.len() as u64 <= left => {
                file.write_all(&bytes).await?;
                left -= bytes.len() as u64;
            }
            Some(Ok(_)) => break Err(BundleError::Range),
            Some(Err(_)) => break Err(BundleError::BrokenOff),
            None if left > 0 => break Err(BundleError::BrokenOff),
            None => break Ok(()),
        }
    };
    file.flush().await?;
    ended
}

fn hash_and_sync(path: &FilePath) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    file.sync_all()?;
    Ok(hex::encode(hash.finalize()))
}
