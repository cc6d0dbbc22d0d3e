use axum::{Json, extract::State};

use super::SystemBody;
use crate::{access::KnownCaller, state::AppState};

/// Says how the installation's parts are, and what to do about one that is not well. Answers those whom it
/// has known for some minutes while the database is away, too.
#[utoipa::path(get, path = "/api/v1/system", operation_id = "getSystem", tag = "system",
    responses((status = 200, description = "Its parts", body = SystemBody)))]
pub(crate) async fn get_system(
    State(state): State<AppState>,
    _caller: KnownCaller,
) -> Json<SystemBody> {
    Json(SystemBody::clone(&*state.system.now().await))
}
