//! Snapshots: the harness makes the bundle, the sidecar hashes it and uploads it beside the link.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{
    ids::BundleDigest,
    run::{Hindrance, SnapshotCause},
};
use futures::StreamExt as _;
use link::SnapshotUpload;
use reqwest::{Body, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};
use url::Url;

use crate::{SidecarError, harness_client::Harness};

/// How many bytes go in one request.
const PIECE: u64 = 8 * 1024 * 1024;
/// The largest bundle.
const MAX_BUNDLE: u64 = 8 * 1024 * 1024 * 1024;
/// How long the control plane may take to look at its canary.
const CANARY: Duration = Duration::from_secs(7);

/// Where bundles are, and by which identity.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) http: reqwest::Client,
    pub(crate) url: Url,
    pub(crate) identity: Identity,
    pub(crate) dir: PathBuf,
}

/// The file that holds the run's identity. It is read each time: a cluster puts a new one there now and then.
#[derive(Clone, Debug)]
pub(crate) struct Identity(pub(crate) PathBuf);

impl Identity {
    pub(crate) async fn read(&self) -> std::io::Result<String> {
        Ok(tokio::fs::read_to_string(&self.0).await?.trim().to_owned())
    }
}

type Done<T> = Result<T, SidecarError>;

impl Store {
    /// Takes a snapshot: the one taken before it is gone, stored or not.
    pub(crate) async fn take(
        &self,
        harness: &Harness,
        parent: Option<BundleDigest>,
        cause: SnapshotCause,
    ) -> Done<SnapshotUpload> {
        let taken = harness.snapshot().await?;
        let fetched = self.fetch(harness, &self.bundle()).await;
        harness.discard_snapshot().await;
        let (digest, size) = fetched?;
        let git_head = taken.git_head.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        let left_out = taken.left_out.into_iter().take(1000).collect();
        Ok(SnapshotUpload { digest, parent, size, git_head, cause, left_out })
    }

    /// Uploads what was taken, piece by piece, from where an earlier try stopped.
    pub(crate) async fn keep(&self, taken: &SnapshotUpload) -> Done<()> {
        let path = self.bundle();
        self.upload(&path, &taken.digest, taken.size).await?;
        Ok(tokio::fs::remove_file(&path).await?)
    }

    fn bundle(&self) -> PathBuf {
        self.dir.join("bundle.part")
    }

    /// Opens a stored bundle.
    pub(crate) async fn open(&self, digest: &BundleDigest) -> Done<Body> {
        let identity = self.identity.read().await?;
        let request = self.http.get(self.address(digest)).bearer_auth(identity);
        let answer = request.send().await.map_err(SidecarError::Away)?;
        taken_in(answer.status())?;
        Ok(Body::wrap_stream(answer.bytes_stream()))
    }

    /// Whether the control plane reaches its canary now; not if it cannot be asked.
    pub(crate) async fn canary_answers(&self) -> bool {
        let ask = async {
            let mut url = self.url.clone();
            url.set_path("/canary");
            let identity = self.identity.read().await.ok()?;
            let request = self.http.post(url).bearer_auth(identity).timeout(CANARY);
            request.send().await.ok()?.json::<link::Canary>().await.ok()
        };
        ask.await.is_some_and(|canary| canary.reached)
    }

    /// Copies the harness's bundle beside the spool, hashing it.
    async fn fetch(&self, harness: &Harness, path: &Path) -> Done<(BundleDigest, u64)> {
        let mut body = harness.snapshot_content().await?.bytes_stream();
        let mut file = File::create(path).await?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(SidecarError::Harness)?;
            size += chunk.len() as u64;
            if size > MAX_BUNDLE {
                return Err(SidecarError::Nonsense("the bundle is larger than 8 GiB".to_owned()));
            }
            hash.update(&chunk);
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        Ok((BundleDigest(hex::encode(hash.finalize())), size))
    }

    async fn upload(&self, path: &Path, digest: &BundleDigest, size: u64) -> Done<()> {
        let address = self.address(digest);
        let identity = self.identity.read().await?;
        let head = self.http.head(address.clone()).bearer_auth(&identity).send().await;
        let head = head.map_err(SidecarError::Away)?;
        let there =
            head.headers().get("upload-offset").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut offset: u64 = match head.status() {
            status if status.is_success() => there.unwrap_or(size),
            StatusCode::NOT_FOUND => 0,
            status => return Err(refusal(status)),
        };
        let mut file = File::open(path).await?;
        while offset < size {
            let end = size.min(offset + PIECE);
            let mut piece = vec![0; usize::try_from(end - offset).unwrap_or(0)];
            file.seek(SeekFrom::Start(offset)).await?;
            file.read_exact(&mut piece).await?;
            let answer = self
                .http
                .put(address.clone())
                .bearer_auth(&identity)
                .header(header::CONTENT_RANGE, format!("bytes {offset}-{}/{size}", end - 1))
                .body(piece)
                .send()
                .await
                .map_err(SidecarError::Away)?;
            taken_in(answer.status())?;
            offset = end;
        }
        Ok(())
    }

    fn address(&self, digest: &BundleDigest) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("/bundles/{digest}"));
        url
    }
}

fn taken_in(status: StatusCode) -> Done<()> {
    if status.is_success() { Ok(()) } else { Err(refusal(status)) }
}

/// What the control plane says when it does not do it.
fn refusal(status: StatusCode) -> SidecarError {
    match status {
        StatusCode::INSUFFICIENT_STORAGE => SidecarError::Store(Hindrance::StoreFull),
        status if status.is_server_error() => SidecarError::Store(Hindrance::StoreAway),
        status => SidecarError::Refused(status.as_u16()),
    }
}
