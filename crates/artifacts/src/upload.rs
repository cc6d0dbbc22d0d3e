//! An upload in parts, as its sender sees it.

use async_trait::async_trait;
use futures::FutureExt as _;
use http::header;
use object_store::{Extensions, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use reqwest::Method;
use tokio::sync::oneshot;

use crate::{
    client::{Remote, failed, same},
    digest::{CONTENT_DIGEST, ContentDigest},
    places::Whole,
};

/// Its parts, which go one after the other in their order.
#[derive(Debug)]
pub(crate) struct Parts {
    store: Remote,
    id: String,
    digests: Vec<ContentDigest>,
    /// Says that the part before the next one is there.
    before: Option<oneshot::Receiver<()>>,
}

impl Parts {
    pub(crate) fn new(store: Remote, id: String) -> Self {
        Self { store, id, digests: vec![], before: None }
    }
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let digest = ContentDigest::of(&data);
        let path = format!("/upload/{}/{}", self.id, self.digests.len());
        self.digests.push(digest);
        let (there, next) = oneshot::channel();
        let before = self.before.replace(next);
        let store = self.store.clone();
        let part = async move {
            if let Some(before) = before {
                before.await.map_err(|_| failed("the part before this one is not stored"))?;
            }
            let request = store.request(Method::PUT, &path);
            let request = request.header(CONTENT_DIGEST, digest.header());
            let answer = store.send(request.body(bytes::Bytes::from(data)), &path).await?;
            same(&answer, digest)?;
            let _ = there.send(());
            Ok(())
        };
        part.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole = Whole { parts: self.digests.iter().map(|digest| digest.hex()).collect() };
        let path = format!("/upload/{}", self.id);
        let answer = self.store.send(self.store.request(Method::POST, &path).json(&whole), &path);
        let etag = answer.await?.headers().get(header::ETAG).cloned();
        let e_tag = etag.and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        Ok(PutResult { e_tag, version: None, extensions: Extensions::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        let path = format!("/upload/{}", self.id);
        self.store.send(self.store.request(Method::DELETE, &path), &path).await?;
        Ok(())
    }
}
