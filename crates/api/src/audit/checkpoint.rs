use audit::tile::Tile;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use commands::audit::Signed;

use crate::{
    access::Caller,
    problem::{Answer, Problem},
    request::Segments,
    state::AppState,
};

impl AppState {
    /// The newest checkpoint.
    pub(super) async fn checkpoint(&self) -> Answer<Signed> {
        let none = || {
            Problem::not_found("checkpoint").detail(
                "nothing is signed: the server has no key (PADDOCK_AUDIT_KEY_FILE), or has only begun",
            )
        };
        self.commands.audit().checkpoint().await?.ok_or_else(none)
    }
}

/// Shows the newest checkpoint: what is signed of the log, in the form of C2SP tlog-checkpoint.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", operation_id = "getCheckpoint", tag = "audit",
    responses((status = 200, description = "A signed note", body = String, content_type = "text/plain")))]
pub(crate) async fn get_checkpoint(
    State(state): State<AppState>,
    _caller: Caller,
) -> Answer<Response> {
    let mut checkpoint = state.checkpoint().await?.checkpoint;
    // With what a witness signed of the same.
    let cosigned = sqlx::query_scalar!(
        r#"select note as "note!" from runtime.witness where size = $1 and note is not null"#,
        checkpoint.checkpoint().size.cast_signed(),
    )
    .fetch_all(state.pool())
    .await?;
    for lines in cosigned {
        checkpoint = checkpoint.with(&lines).unwrap_or(checkpoint);
    }
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, checkpoint.note().to_owned()).into_response())
}

/// Shows a tile of the tree: its hashes one after the other, as C2SP tlog-tiles says.
#[utoipa::path(get, path = "/api/v1/audit/tile/{level}/{*index}", operation_id = "getTile", tag = "audit",
    params(("level" = u8, Path, description = "0 for leaves"),
        ("index" = String, Path, description = "Such as `067`, `x001/067` or `x001/067.p/17`")),
    responses((status = 200, description = "Up to 256 hashes", content_type = "application/octet-stream")))]
pub(crate) async fn get_tile(
    State(state): State<AppState>,
    _caller: Caller,
    Segments((level, index)): Segments<(String, String)>,
) -> Answer<Response> {
    let tile = Tile::parse(&format!("{level}/{index}"));
    let tile =
        tile.ok_or_else(|| Problem::malformed("index", "is not a tile of C2SP tlog-tiles"))?;
    let hashes = state.commands.audit().tile(tile).await?;
    let hashes = hashes.ok_or_else(|| Problem::not_found("tile"))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        // What is in a tile never changes.
        (header::CACHE_CONTROL, "private, max-age=604800, immutable"),
    ];
    Ok((headers, hashes).into_response())
}
