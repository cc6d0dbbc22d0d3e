use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::SettingsBody;
use crate::{access::Caller, problem::Answer, state::AppState};

/// Shows the settings of the installation as they hold, and where each is from. What was committed is in it.
#[utoipa::path(get, path = "/api/v1/settings", operation_id = "getSettings", tag = "settings",
    responses((status = 200, description = "All of them", body = SettingsBody)))]
pub(crate) async fn get_settings(
    State(state): State<AppState>,
    _caller: Caller,
) -> Answer<Response> {
    let effective = state.installation().now().await?;
    let etag = format!("\"{}\"", effective.version());
    Ok(([(header::ETAG, etag)], Json(SettingsBody::of(&effective))).into_response())
}
