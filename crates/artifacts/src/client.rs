//! The store as the other roles see it.

use std::{fmt, io, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::{HeaderMap, StatusCode, header};
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetRange, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, path::Path,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::io::AsyncBufReadExt as _;
use tokio_util::io::StreamReader;
use url::Url;

use crate::{
    digest::{CONTENT_DIGEST, ContentDigest},
    full::full,
    places::{Begun, CHANGED_AT, Listed, OBJECTS, SPACE, UPLOADS},
    space::Space,
    upload::Parts,
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may bring nothing. What is stored is made durable first, which takes a slow volume a while.
const SILENCE: Duration = Duration::from_mins(1);

/// A store that the role serves. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    http: Client,
    url: Url,
    token: String,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.url)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the artifact store at {}", self.url)
    }
}

impl Remote {
    /// The store at `url`, for whoever has its token.
    ///
    /// # Errors
    ///
    /// Where there can be no client.
    pub fn new(url: Url, token: &str) -> Result<Self> {
        let http = Client::builder().no_proxy().connect_timeout(CONNECT).read_timeout(SILENCE);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().map_err(failed)?;
        Ok(Self { http, url, token: token.to_owned() })
    }

    /// How much room there is.
    ///
    /// # Errors
    ///
    /// Where the role does not answer.
    pub async fn space(&self) -> Result<Space> {
        self.send(self.request(Method::GET, SPACE), "").await?.json().await.map_err(failed)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        self.http.request(method, url).bearer_auth(&self.token)
    }

    fn object(&self, method: Method, path: &Path) -> RequestBuilder {
        self.request(method, &format!("{OBJECTS}/{path}"))
    }

    /// Sends it; what is not done is an error. `path` says of what.
    pub(crate) async fn send(&self, request: RequestBuilder, path: &str) -> Result<Response> {
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let path = path.to_owned();
        let words = answer.text().await.unwrap_or_default();
        let source = io::Error::other(format!("the artifact store answered {status}: {words}"));
        Err(match status {
            StatusCode::NOT_FOUND => Error::NotFound { path, source: source.into() },
            StatusCode::PRECONDITION_FAILED => Error::AlreadyExists { path, source: source.into() },
            StatusCode::UNAUTHORIZED => Error::Unauthenticated { path, source: source.into() },
            StatusCode::INSUFFICIENT_STORAGE => failed(full()),
            _ => failed(source),
        })
    }
}

/// The role does not do it.
pub(crate) fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "artifacts", source: source.into() }
}

/// What the other side has is what was sent.
pub(crate) fn same(answer: &Response, digest: ContentDigest) -> Result<()> {
    if ContentDigest::read(answer.headers()) == Some(digest) {
        return Ok(());
    }
    Err(failed("the artifact store stored other bytes than were sent"))
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "artifacts".to_owned() }
}

fn etag(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::ETAG)?.to_str().ok()?.to_owned())
}

/// What an answer says of its object, and which bytes of it come.
fn told(location: &Path, headers: &HeaderMap) -> Option<(ObjectMeta, std::ops::Range<u64>)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let (range, size) = if let Some(range) = text("content-range") {
        let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        (first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?)
    } else {
        let size = text("content-length")?.parse().ok()?;
        (0..size, size)
    };
    let last_modified = chrono::DateTime::parse_from_rfc3339(text(CHANGED_AT)?).ok()?.to_utc();
    let (location, e_tag) = (location.clone(), etag(headers));
    Some((ObjectMeta { location, last_modified, size, e_tag, version: None }, range))
}

#[async_trait]
impl ObjectStore for Remote {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let mut request = self.object(Method::PUT, location);
        match options.mode {
            PutMode::Overwrite => {}
            PutMode::Create => request = request.header(header::IF_NONE_MATCH, "*"),
            PutMode::Update(_) => return Err(unsupported("a put that expects a version")),
        }
        let digest = ContentDigest::of(&payload);
        let request = request.header(CONTENT_DIGEST, digest.header());
        let request = request.body(bytes::Bytes::from(payload));
        let answer = self.send(request, location.as_ref()).await?;
        same(&answer, digest)?;
        let e_tag = etag(answer.headers());
        Ok(PutResult { e_tag, version: None, extensions: Extensions::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let request = self.request(Method::POST, &format!("{UPLOADS}/{location}"));
        let begun: Begun =
            self.send(request, location.as_ref()).await?.json().await.map_err(failed)?;
        Ok(Box::new(Parts::new(self.clone(), begun.id)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let conditions = options.if_match.is_some()
            || options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some()
            || options.version.is_some();
        if conditions {
            return Err(unsupported("a get with conditions"));
        }
        let method = if options.head { Method::HEAD } else { Method::GET };
        let mut request = self.object(method, location);
        if let Some(range) = options.range {
            let range = match range {
                GetRange::Bounded(range) => {
                    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
                }
                GetRange::Offset(first) => format!("bytes={first}-"),
                GetRange::Suffix(last) => format!("bytes=-{last}"),
            };
            request = request.header(header::RANGE, range);
        }
        let answer = self.send(request, location.as_ref()).await?;
        let (meta, range) = told(location, answer.headers())
            .ok_or_else(|| failed("the artifact store says nothing of an object's size"))?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(answer.bytes_stream().map_err(failed).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let removed = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.send(store.object(Method::DELETE, &location), location.as_ref()).await?;
                Ok(location)
            }
        });
        removed.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map(ToString::to_string).unwrap_or_default();
        let request = self.request(Method::GET, OBJECTS).query(&[("prefix", &prefix)]);
        let store = self.clone();
        let listed = async move {
            let answer = store.send(request, &prefix).await?;
            let body = StreamReader::new(answer.bytes_stream().map_err(io::Error::other));
            let lines = futures::stream::try_unfold(body.lines(), async |mut lines| {
                Ok(lines.next_line().await.map_err(failed)?.map(|line| (line, lines)))
            });
            Ok::<_, Error>(lines.and_then(async |line| {
                let listed: Listed = serde_json::from_str(&line).map_err(failed)?;
                Ok(ObjectMeta::try_from(listed)?)
            }))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(unsupported("a list of one level"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(unsupported("a copy"))
    }
}
