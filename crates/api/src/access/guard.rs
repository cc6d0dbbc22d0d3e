use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{problem::Problem, state::AppState};

/// Serves only requests for a host that is ours: another site's name that resolves to this machine
/// (DNS rebinding) gets nothing.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| is_ours(host, &state)) {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "foreign-host",
        "This is not the host you asked for",
    )
    .into_response()
}

fn is_ours(host: &str, state: &AppState) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let ours = state.settings.public_url.host_str().unwrap_or_default();
    let ours = ours.trim_start_matches('[').trim_end_matches(']');
    ["localhost", "127.0.0.1", "::1", ours].iter().any(|own| name.eq_ignore_ascii_case(own))
}
