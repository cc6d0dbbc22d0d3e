//! Uploads under way: their parts come in order, and nothing of them is seen before the last.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use object_store::{MultipartUpload, PutResult};
use tokio::{sync::Mutex, time::Instant};

use crate::{digest::ContentDigest, places::Whole, problem::Problem};

/// How long nothing has come of an upload before it goes.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<std::sync::Mutex<HashMap<String, Arc<Upload>>>>);

struct Upload {
    written: Mutex<Written>,
    last: std::sync::Mutex<Instant>,
}

struct Written {
    /// None once it is over.
    file: Option<Box<dyn MultipartUpload>>,
    parts: Vec<ContentDigest>,
}

impl Uploads {
    pub(crate) fn begin(&self, file: Box<dyn MultipartUpload>) -> Result<String, Problem> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Problem::Failed(error.to_string().into()))?;
        let id = hex::encode(id);
        let upload = Upload {
            written: Mutex::new(Written { file: Some(file), parts: vec![] }),
            last: std::sync::Mutex::new(Instant::now()),
        };
        self.lock().insert(id.clone(), Arc::new(upload));
        Ok(id)
    }

    /// Writes a part, unless it is there. What cannot be written ends the upload: its room is free again at once.
    pub(crate) async fn part(
        &self,
        id: &str,
        number: usize,
        bytes: Bytes,
        digest: ContentDigest,
    ) -> Result<(), Problem> {
        let upload = self.find(id)?;
        let mut written = upload.written.lock().await;
        if written.parts.get(number) == Some(&digest) {
            return Ok(());
        }
        let next = written.parts.len();
        if number != next {
            return Err(Problem::Order { next });
        }
        let file = written.file.as_mut().ok_or(Problem::NoUpload)?;
        match file.put_part(bytes.into()).await {
            Ok(()) => {
                written.parts.push(digest);
                Ok(())
            }
            Err(error) => {
                drop(written);
                self.end(id).await;
                Err(error.into())
            }
        }
    }

    /// Makes it an object, if it is what its sender says.
    pub(crate) async fn complete(&self, id: &str, whole: &Whole) -> Result<PutResult, Problem> {
        let upload = self.find(id)?;
        let mut written = upload.written.lock().await;
        let same = written.parts.iter().map(|part| part.hex()).eq(whole.parts.iter().cloned());
        if !same {
            drop(written);
            self.end(id).await;
            return Err(Problem::Digest);
        }
        let mut file = written.file.take().ok_or(Problem::NoUpload)?;
        let done = file.complete().await;
        self.lock().remove(id);
        Ok(done?)
    }

    /// Ends it, and removes what was written.
    pub(crate) async fn end(&self, id: &str) {
        let upload = self.lock().remove(id);
        let Some(upload) = upload else { return };
        let file = upload.written.lock().await.file.take();
        if let Some(mut file) = file
            && let Err(error) = file.abort().await
        {
            tracing::warn!(%error, "what was written of an upload is not removed");
        }
    }

    /// Ends those of which nothing has come for long.
    pub(crate) async fn sweep(&self) {
        let forgotten: Vec<String> = {
            let uploads = self.lock();
            let stale = uploads.iter().filter(|(_, upload)| upload.idle() > FORGOTTEN);
            stale.map(|(id, _)| id.clone()).collect()
        };
        for id in forgotten {
            tracing::info!(id, "an upload was not gone on with");
            self.end(&id).await;
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Upload>, Problem> {
        let upload = self.lock().get(id).cloned().ok_or(Problem::NoUpload)?;
        *upload.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(upload)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn idle(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}
