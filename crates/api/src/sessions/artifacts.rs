use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::ids::{BundleDigest, SessionId};
use projections::{Cursor, model::BundleRow};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Caller,
    answer::ListBody,
    bundles::router::content,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params},
    state::AppState,
};

/// A stored bundle.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArtifactBody {
    /// `<session>.<digest>`
    id: String,
    session_id: Uuid,
    run_id: Uuid,
    generation: u32,
    /// SHA-256 of its bytes.
    digest: String,
    /// The bundle that it follows.
    parent: Option<String>,
    /// In bytes, compressed.
    size: u64,
    git_head: String,
    stored_at: DateTime<Utc>,
}

impl From<BundleRow> for ArtifactBody {
    fn from(row: BundleRow) -> Self {
        Self {
            id: format!("{}.{}", row.session, row.info.digest),
            session_id: row.session.0,
            run_id: row.run.0,
            generation: row.generation.0,
            digest: row.info.digest.0,
            parent: row.info.parent.map(|parent| parent.0),
            size: row.info.size,
            git_head: row.info.git_head,
            stored_at: row.stored_at,
        }
    }
}

/// Lists a session's bundles that are in the store, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/artifacts", operation_id = "listArtifacts", tag = "sessions",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<ArtifactBody>)))]
pub(crate) async fn list_artifacts(
    State(state): State<AppState>,
    _caller: Caller,
    Id(id): Id<SessionId>,
    Params(list): Params<ListQuery>,
) -> Answer<Json<ListBody<ArtifactBody>>> {
    state.at_least(list.at_least.as_deref()).await?;
    if state.views.session(id).await?.is_none() {
        return Err(Problem::not_found("session"));
    }
    let page = state.views.bundles(id, list.cursor.as_deref(), list.limit()?).await??;
    let items = page.items.into_iter().map(ArtifactBody::from).collect();
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}

/// A bundle's name among all sessions'.
#[derive(Debug)]
pub(crate) struct ArtifactId {
    session: SessionId,
    digest: BundleDigest,
}

impl std::str::FromStr for ArtifactId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not the id of an artifact: <session>.<digest>";
        let (session, digest) = text.split_once('.').ok_or(FORM)?;
        let is_digest =
            digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest {
            return Err(FORM);
        }
        let session = session.parse().map_err(|_| FORM)?;
        Ok(Self { session, digest: BundleDigest(digest.to_owned()) })
    }
}

/// Downloads a bundle: a tar archive, compressed with zstd.
#[utoipa::path(get, path = "/api/v1/artifacts/{id}/content", operation_id = "getArtifactContent", tag = "sessions",
    params(("id" = String, Path),
        ("Range" = Option<String>, Header, description = "bytes=first-last, bytes=first- or bytes=-last"),
        ("If-Range" = Option<String>, Header, description = "The ETag that the range belongs to")),
    responses((status = 200, description = "Its bytes", content_type = "application/zstd"),
        (status = 206, description = "The range of its bytes", content_type = "application/zstd"),
        (status = 416, description = "The range is none of it", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn get_artifact_content(
    State(state): State<AppState>,
    _caller: Caller,
    Id(id): Id<ArtifactId>,
    headers: HeaderMap,
) -> Answer<Response> {
    if state.views.bundle(id.session, &id.digest).await?.is_none() {
        return Err(Problem::not_found("artifact"));
    }
    let mut response = content(&state.bundles, &id.digest, &headers).await?;
    let name = format!("attachment; filename=\"bundle-{:.12}.tar.zst\"", id.digest.0);
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
