use std::sync::Arc;

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::get,
};
use commands::Commands;
use http::HeaderMap;
use link::MAX_MESSAGE_BYTES;

use super::{
    JobSettings, Links,
    connection::{self, Caller},
    identity::{Unidentified, bearer},
};
use crate::{bundles, bundles::Bundles, output::Outputs};

/// What the link listener works with. Cheap to clone.
#[derive(Clone)]
pub struct LinkState {
    /// Where facts go, and instructions come from.
    pub commands: Commands,
    /// Where output goes.
    pub outputs: Outputs,
    /// Where bundles go.
    pub bundles: Bundles,
    /// The links held by this process.
    pub links: Links,
    /// What every job says alike.
    pub job: Arc<JobSettings>,
}

/// The link listener's routes.
pub fn router(state: LinkState) -> Router {
    Router::new().route("/link", get(upgrade)).merge(bundles::router::routes()).with_state(state)
}

/// An unknown identity is told so on the link itself, where the sidecar understands it.
async fn upgrade(
    State(state): State<LinkState>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Unidentified> {
    let token = bearer(&headers).ok_or(Unidentified::Missing)?;
    let caller = match state.commands.identify(token).await {
        Ok(Some((run, generation))) => Caller::Known(run, generation),
        Ok(None) => Caller::Unknown,
        Err(error) => return Err(error.into()),
    };
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| connection::serve(socket, state, caller))
        .into_response())
}
