use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{State, WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use commands::Commands;
use http::HeaderMap;
use link::{Canary, MAX_MESSAGE_BYTES};
use tokio::{net::TcpStream, time::timeout};

use super::{
    JobSettings, Links,
    connection::{self, Caller},
    identity::{Identified, Identities, Unidentified, bearer},
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
    /// Whose a token is.
    pub identities: Arc<dyn Identities>,
    /// An address of the control plane's that no run may reach, as a run would dial it.
    pub canary: Arc<str>,
}

/// How long the canary may take to answer.
const CANARY: Duration = Duration::from_secs(5);

/// What each link keeps ready for what comes next, in bytes: most of a thousand links wait.
const READ_BUFFER: usize = 8 * 1024;

/// The link listener's routes.
pub fn router(state: LinkState) -> Router {
    Router::new()
        .route("/link", get(upgrade))
        .route("/canary", post(canary))
        .merge(bundles::router::routes())
        .with_state(state)
}

/// An unknown identity is told so on the link itself, where the sidecar understands it.
async fn upgrade(
    State(state): State<LinkState>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Unidentified> {
    let token = bearer(&headers).ok_or(Unidentified::Missing)?.to_owned();
    let caller = match state.identities.identify(&token).await {
        Ok((run, generation)) => Caller::Known { run, generation, token },
        Err(Unidentified::Unknown | Unidentified::Superseded) => Caller::Unknown,
        Err(Unidentified::NotYet) => Caller::NotYet,
        Err(error) => return Err(error),
    };
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| connection::serve(socket, state, caller))
        .into_response())
}

/// The positive control of a run's fence: whether the address that the run must not reach answers at all,
/// tried while the run tries.
async fn canary(State(state): State<LinkState>, _: Identified) -> Json<Canary> {
    let dialled = timeout(CANARY, TcpStream::connect(&*state.canary)).await;
    Json(Canary { reached: matches!(dialled, Ok(Ok(_))) })
}
