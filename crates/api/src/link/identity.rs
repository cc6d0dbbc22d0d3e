use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use commands::StoreError;
use domain::{
    ids::{Generation, RunId, SessionId},
    run::{self, Requested},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use sha2::{Digest as _, Sha256};

use super::LinkState;
use crate::bundles::Uploader;

/// A run's workload, by its identity: what a request beside the link acts as.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The run.
    pub run: RunId,
    /// The generation of its workload: the newest.
    pub generation: Generation,
    /// As the run was asked for.
    pub requested: Requested,
}

impl Identified {
    pub(crate) fn session(&self) -> SessionId {
        self.requested.session
    }

    pub(crate) fn uploader(&self) -> Uploader {
        Uploader { session: self.session(), run: self.run, generation: self.generation }
    }
}

/// Why a request has no identity.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// There is no bearer token.
    #[error("no identity: send it as a bearer token")]
    Missing,
    /// The token is nobody's.
    #[error("the identity is unknown")]
    Unknown,
    /// The run has gone on without this workload.
    #[error("the identity was superseded")]
    Superseded,
    /// It could not be looked up.
    #[error("the identity could not be looked up")]
    Store(#[from] StoreError),
}

/// The SHA-256 of the request's bearer token.
pub(super) fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .then(|| Sha256::digest(token.as_bytes()).into())
}

impl FromRequestParts<LinkState> for Identified {
    type Rejection = Unidentified;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &LinkState,
    ) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers).ok_or(Unidentified::Missing)?;
        let known = state.commands.identify(token).await?;
        let (run, generation) = known.ok_or(Unidentified::Unknown)?;
        match state.commands.load_run(run).await?.0 {
            run::State::Known(known) if known.generation == Some(generation) => {
                Ok(Self { run, generation, requested: known.requested })
            }
            run::State::Known(_) | run::State::New => Err(Unidentified::Superseded),
        }
    }
}

impl IntoResponse for Unidentified {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Missing | Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Superseded => StatusCode::FORBIDDEN,
            Self::Store(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "no identity");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}
