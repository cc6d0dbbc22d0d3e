//! Uploads. What arrives is kept in pieces, each an object of its own, until all of them are there.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::ids::BundleDigest;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::{Error, ObjectStoreExt as _, PutMode, PutOptions, WriteMultipart, path::Path};
use sha2::{Digest as _, Sha256};

use super::{
    BundleError, Bundles, Uploader,
    store::{PARTIAL, checked, object, only_one},
};

/// How long a body may bring nothing before it counts as broken off.
const STALLED: Duration = Duration::from_mins(1);
/// The most bytes of a piece: what an upload keeps in memory. S3 takes parts from 5 MiB on.
const PIECE: usize = 8 * 1024 * 1024;
/// How many parts of a bundle are on their way to the store at once.
const AT_ONCE: usize = 2;

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

/// An upload that has begun.
struct Begun {
    /// Where its pieces are, each named by its first byte.
    at: Path,
    /// How many bytes it is to have in the end.
    total: u64,
    /// How many are there without a gap.
    have: u64,
    pieces: Vec<Path>,
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
        let Some(begun) = self.begun(uploader, digest).await? else {
            return Err(BundleError::NotFound);
        };
        let lock = self.lock(&begun.at);
        // While a part is being written, the length is only passing by, and says so.
        let writer = lock.try_lock();
        if writer.is_ok() && begun.have == begun.total {
            // The last part was the last that a process did: what comes after it is done now.
            return match self.complete(uploader, digest, &begun).await {
                Ok(()) => Ok(begun.total),
                Err(BundleError::Digest) => Err(BundleError::NotFound),
                Err(error) => Err(error),
            };
        }
        Ok(begun.have)
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
        let at = Path::from_iter([PARTIAL, &upload_of(uploader, digest)?, &part.total.to_string()]);
        let lock = self.lock(&at);
        let _writer = lock.lock().await;
        let begun = self.begun(uploader, digest).await?;
        if begun.as_ref().is_some_and(|begun| begun.total != part.total) {
            return Err(BundleError::Range);
        }
        let have = begun.map_or(0, |begun| begun.have);
        if have != part.first {
            return Err(BundleError::Offset { have });
        }
        self.keep(&at, part, body).await?;
        if part.end < part.total {
            return Ok(Progress::Partial(part.end));
        }
        let begun = self.begun(uploader, digest).await?.ok_or(BundleError::BrokenOff)?;
        self.complete(uploader, digest, &begun).await?;
        Ok(Progress::Whole)
    }

    /// Keeps what a body brings, piece by piece.
    async fn keep<E>(
        &self,
        at: &Path,
        part: Part,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), BundleError> {
        let mut body = std::pin::pin!(body);
        let (mut kept, mut arrived) = (part.first, part.first);
        let mut piece = BytesMut::new();
        loop {
            let ended = match tokio::time::timeout(STALLED, body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.len() as u64 <= part.end - arrived => {
                    arrived += bytes.len() as u64;
                    piece.extend_from_slice(&bytes);
                    None
                }
                Ok(Some(Ok(_))) => Some(Err(BundleError::Range)),
                Ok(None) if arrived == part.end => Some(Ok(())),
                Ok(None | Some(Err(_))) | Err(_) => Some(Err(BundleError::BrokenOff)),
            };
            if piece.len() >= PIECE || (ended.is_some() && !piece.is_empty()) {
                self.keep_piece(at, kept, piece.split().freeze()).await?;
                kept = arrived;
            }
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// Another process may be at the same upload: of two pieces that begin at the same byte the first stays.
    async fn keep_piece(&self, at: &Path, first: u64, bytes: Bytes) -> Result<(), BundleError> {
        let piece = at.clone().join(format!("{first:020}"));
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&piece, bytes.into(), create).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => Err(BundleError::BrokenOff),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the pieces one bundle, if they have its digest.
    async fn complete(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
        begun: &Begun,
    ) -> Result<(), BundleError> {
        let object = object(digest)?;
        loop {
            self.join(&object, digest, begun).await?;
            let mut tx = self.pool.begin().await?;
            only_one(&mut tx, digest).await?;
            match self.objects.head(&object).await {
                Ok(_) => {}
                // The last other session that had it let it go in between.
                Err(Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            sqlx::query!(
                "insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
                 values ($1, $2, $3, $4, $5, now()) on conflict (session, digest) do nothing",
                digest.0,
                uploader.session.0,
                uploader.run.0,
                i32::try_from(uploader.generation.0).unwrap_or(i32::MAX),
                i64::try_from(begun.total).unwrap_or(i64::MAX),
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            return self.drop_pieces(&begun.at).await;
        }
    }

    /// Writes the pieces as one object, which nobody sees unless they have the digest.
    async fn join(
        &self,
        object: &Path,
        digest: &BundleDigest,
        begun: &Begun,
    ) -> Result<(), BundleError> {
        let whole = self.objects.put_multipart(object).await?;
        let mut whole = WriteMultipart::new_with_chunk_size(whole, PIECE);
        match self.write(&mut whole, begun).await {
            Ok(written) if written == digest.0 => {
                whole.finish().await?;
                Ok(())
            }
            Ok(_) => {
                whole.abort().await?;
                self.drop_pieces(&begun.at).await?;
                Err(BundleError::Digest)
            }
            Err(error) => {
                // It takes up no room until it is tried again.
                let _ = whole.abort().await;
                Err(error)
            }
        }
    }

    /// Writes the pieces one after the other; the SHA-256 of all of them.
    async fn write(
        &self,
        whole: &mut WriteMultipart,
        begun: &Begun,
    ) -> Result<String, BundleError> {
        let mut hash = Sha256::new();
        for piece in &begun.pieces {
            let mut bytes = self.objects.get(piece).await?.into_stream();
            while let Some(bytes) = bytes.try_next().await? {
                hash.update(&bytes);
                whole.wait_for_capacity(AT_ONCE).await?;
                whole.put(bytes);
            }
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// What there is of an upload.
    async fn begun(
        &self,
        uploader: Uploader,
        digest: &BundleDigest,
    ) -> Result<Option<Begun>, BundleError> {
        let upload = Path::from_iter([PARTIAL, &upload_of(uploader, digest)?]);
        let mut found: Vec<_> = self.objects.list(Some(&upload)).try_collect().await?;
        found.sort_by(|one, other| one.location.cmp(&other.location));
        let mut begun: Option<Begun> = None;
        for piece in found {
            let names = piece.location.prefix_match(&upload).into_iter().flatten();
            let numbers: Vec<u64> = names.filter_map(|name| name.as_ref().parse().ok()).collect();
            let [total, first] = numbers[..] else { continue };
            let begun = begun.get_or_insert_with(|| Begun {
                at: upload.clone().join(total.to_string()),
                total,
                have: 0,
                pieces: vec![],
            });
            if total == begun.total && first == begun.have {
                begun.have += piece.size;
                begun.pieces.push(piece.location);
            }
        }
        Ok(begun)
    }
}

/// What an upload is called. It belongs to one generation: what a stale workload sends mixes with nothing.
fn upload_of(uploader: Uploader, digest: &BundleDigest) -> Result<String, BundleError> {
    Ok(format!("{}-{}-{}", uploader.run, uploader.generation, checked(digest)?))
}
