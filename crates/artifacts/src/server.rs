//! The role: a directory as a store of objects, for those who have the token.

use std::{
    path::{Path as Directory, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path as Segment, Query, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use chrono::SecondsFormat;
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    local::LocalFileSystem, path::Path,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    MAX_BODY,
    digest::ContentDigest,
    places::{Begun, CHANGED_AT, Listed, OBJECTS, SPACE, UPLOADS, Whole},
    problem::Problem,
    space::Space,
    uploads::Uploads,
};

/// How many bodies are in memory at once.
const BODIES: usize = 8;
/// How long a body may bring nothing.
const STALLED: Duration = Duration::from_mins(1);
/// How often uploads are looked for that nobody goes on with.
const SWEEP: Duration = Duration::from_mins(1);

/// A directory that is served. Cheap to clone.
#[derive(Clone)]
pub struct Served {
    root: Arc<PathBuf>,
    objects: Arc<LocalFileSystem>,
    uploads: Uploads,
    bodies: Arc<Semaphore>,
    /// The SHA-256 of the token: comparing it tells nothing about the token.
    token: [u8; 32],
}

impl Served {
    /// Opens a directory, which is made where it is missing. Nobody else may write there: what an earlier process
    /// left half written is removed.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made, read or written.
    pub fn open(root: &Directory, token: &str) -> Result<Self, object_store::Error> {
        let failed = |source: std::io::Error| object_store::Error::Generic {
            store: "artifacts",
            source: source.into(),
        };
        std::fs::create_dir_all(root).map_err(failed)?;
        remove_half_written(root).map_err(failed)?;
        let objects = LocalFileSystem::new_with_prefix(root)?;
        Ok(Self {
            root: Arc::new(root.to_owned()),
            objects: Arc::new(objects.with_fsync(true).with_automatic_cleanup(true)),
            uploads: Uploads::default(),
            bodies: Arc::new(Semaphore::new(BODIES)),
            token: Sha256::digest(token).into(),
        })
    }

    /// Forgets uploads that nobody goes on with, until told to stop.
    pub async fn sweep_until(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => self.uploads.sweep().await,
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// A request's body, which is what its digest says.
    async fn body(&self, request: Request) -> Result<(Bytes, ContentDigest), Problem> {
        let said = ContentDigest::read(request.headers()).ok_or(Problem::NoDigest)?;
        let Ok(_room) = self.bodies.acquire().await else { return Err(Problem::BrokenOff) };
        let body = Limited::new(request.into_body(), MAX_BODY).collect();
        let body = tokio::time::timeout(STALLED, body).await.map_err(|_| Problem::BrokenOff)?;
        let bytes = body
            .map_err(|error| {
                let too_large = error.downcast_ref::<LengthLimitError>().is_some();
                if too_large { Problem::TooLarge } else { Problem::BrokenOff }
            })?
            .to_bytes();
        if ContentDigest::of([&bytes]) == said { Ok((bytes, said)) } else { Err(Problem::Digest) }
    }
}

/// What the store writes beside an object's place until it is whole ends in `#` and a number.
fn remove_half_written(directory: &Directory) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // Not ours, and not to be read: a volume of its own has one at its root.
            if entry.file_name() != "lost+found" {
                remove_half_written(&entry.path())?;
            }
            continue;
        }
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| Some(name.rsplit_once('#')?.1));
        if number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The role's routes.
pub fn router(served: Served) -> Router {
    Router::new()
        .route(OBJECTS, get(list))
        .route(&format!("{OBJECTS}/{{*path}}"), put(store).get(load).delete(remove))
        .route(&format!("{UPLOADS}/{{*path}}"), post(begin))
        .route("/upload/{id}/{number}", put(part))
        .route("/upload/{id}", post(complete).delete(end))
        .route(SPACE, get(space))
        .layer(from_fn_with_state(served.clone(), authenticate))
        .with_state(served)
}

/// Health and readiness, for whoever looks after the role; nobody has to say who they are.
pub fn admin(served: Served) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(served)
}

/// Ready while the volume can be looked at: a full one still gives back what it has.
async fn ready(State(served): State<Served>) -> Response {
    match Space::of(&served.root) {
        Ok(space) => Json(serde_json::json!({ "ready": true, "space": space })).into_response(),
        Err(error) => {
            let said = serde_json::json!({ "ready": false, "problem": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(said)).into_response()
        }
    }
}

async fn authenticate(
    State(served): State<Served>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let said = request.headers().get(header::AUTHORIZATION).and_then(|said| said.to_str().ok());
    let token = said.and_then(|said| said.strip_prefix("Bearer "));
    let digest: Option<[u8; 32]> = token.map(|token| Sha256::digest(token).into());
    if digest != Some(served.token) {
        return Err(Problem::Unauthenticated);
    }
    Ok(next.run(request).await)
}

async fn store(
    State(served): State<Served>,
    Segment(path): Segment<String>,
    request: Request,
) -> Result<Response, Problem> {
    let path = Path::parse(path)?;
    let create = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "*");
    let (bytes, digest) = served.body(request).await?;
    let mode = if create { PutMode::Create } else { PutMode::Overwrite };
    let options = PutOptions { mode, ..PutOptions::default() };
    let made = served.objects.put_opts(&path, bytes.into(), options).await?;
    Ok((StatusCode::CREATED, stored(made.e_tag, Some(digest))).into_response())
}

fn stored(etag: Option<String>, digest: Option<ContentDigest>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(digest) = digest.and_then(|digest| digest.header().parse().ok()) {
        headers.insert(crate::digest::CONTENT_DIGEST, digest);
    }
    headers
}

/// `GET` and `HEAD`: an object, or a range of it.
async fn load(
    State(served): State<Served>,
    method: http::Method,
    Segment(path): Segment<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = Path::parse(path)?;
    let asked = headers.get(header::RANGE).map(|range| range.to_str().ok().and_then(range_of));
    let range = match asked {
        None => None,
        Some(Some(range)) => Some(range),
        Some(None) => return Err(Problem::Range),
    };
    let size = served.objects.head(&path).await?.size;
    if range.as_ref().is_some_and(|range| range.as_range(size).is_err()) {
        return Err(Problem::Range);
    }
    let partial = range.is_some();
    let options = GetOptions { range, head: method == http::Method::HEAD, ..GetOptions::default() };
    let found = served.objects.get_opts(&path, options).await?;
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let mut response = Response::builder()
        .status(if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(CHANGED_AT, meta.last_modified.to_rfc3339_opts(SecondsFormat::Micros, true));
    if let Some(etag) = meta.e_tag {
        response = response.header(header::ETAG, etag);
    }
    if partial {
        let said = format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size);
        response = response.header(header::CONTENT_RANGE, said);
    }
    let body = match method {
        http::Method::HEAD => Body::empty(),
        _ => Body::from_stream(found.into_stream()),
    };
    response.body(body).map_err(|error| Problem::Failed(error.into()))
}

/// `bytes=first-`, `bytes=first-last` or `bytes=-last`.
fn range_of(text: &str) -> Option<GetRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (first, last) {
        ("", last) => GetRange::Suffix(last.parse().ok()?),
        (first, "") => GetRange::Offset(first.parse().ok()?),
        (first, last) => {
            let end = last.parse::<u64>().ok()?.checked_add(1)?;
            GetRange::Bounded(first.parse().ok()?..end)
        }
    })
}

async fn remove(
    State(served): State<Served>,
    Segment(path): Segment<String>,
) -> Result<StatusCode, Problem> {
    served.objects.delete(&Path::parse(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Below {
    #[serde(default)]
    prefix: String,
}

/// A line an object, as JSON. What breaks off in between is no list.
async fn list(
    State(served): State<Served>,
    Query(below): Query<Below>,
) -> Result<Response, Problem> {
    let prefix = Path::parse(below.prefix)?;
    let lines = served.objects.list(Some(&prefix)).map(|found| {
        let mut line = serde_json::to_vec(&Listed::from(found?))?;
        line.push(b'\n');
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(line)
    });
    let content = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((content, Body::from_stream(lines)).into_response())
}

async fn begin(
    State(served): State<Served>,
    Segment(path): Segment<String>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let file = served.objects.put_multipart(&Path::parse(path)?).await?;
    Ok((StatusCode::CREATED, Json(Begun { id: served.uploads.begin(file)? })))
}

async fn part(
    State(served): State<Served>,
    Segment((id, number)): Segment<(String, usize)>,
    request: Request,
) -> Result<Response, Problem> {
    let (bytes, digest) = served.body(request).await?;
    served.uploads.part(&id, number, bytes, digest).await?;
    Ok((StatusCode::NO_CONTENT, stored(None, Some(digest))).into_response())
}

async fn complete(
    State(served): State<Served>,
    Segment(id): Segment<String>,
    Json(whole): Json<Whole>,
) -> Result<Response, Problem> {
    let made = served.uploads.complete(&id, &whole).await?;
    Ok((StatusCode::CREATED, stored(made.e_tag, None)).into_response())
}

async fn end(State(served): State<Served>, Segment(id): Segment<String>) -> StatusCode {
    served.uploads.end(&id).await;
    StatusCode::NO_CONTENT
}

async fn space(State(served): State<Served>) -> Result<Json<Space>, Problem> {
    Ok(Json(Space::of(&served.root).map_err(|error| Problem::Failed(error.into()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_half_written_is_removed_at_the_start() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("bundle/ab");
        std::fs::create_dir_all(&below).unwrap();
        for name in ["whole", "whole#1", "whole#23", "whole#1a", "#"] {
            std::fs::write(below.join(name), "x").unwrap();
        }
        Served::open(root.path(), "t").unwrap();
        let left = std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["#", "whole", "whole#1a"]);
    }

    #[test]
    fn a_range_is_read_as_rfc_9110_writes_it() {
        assert_eq!(range_of("bytes=0-9"), Some(GetRange::Bounded(0..10)));
        assert_eq!(range_of("bytes=5-"), Some(GetRange::Offset(5)));
        assert_eq!(range_of("bytes=-5"), Some(GetRange::Suffix(5)));
        for bad in ["bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4"] {
            assert_eq!(range_of(bad), None, "{bad}");
        }
    }
}
