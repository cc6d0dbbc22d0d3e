use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use commands::{Commands, StoreError};
use domain::{
    ids::{Generation, RunId, SessionId},
    run::{self, Requested},
};
use futures::future::BoxFuture;
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
    /// The workload is not recorded yet.
    #[error("the workload is not recorded yet: try again")]
    NotYet,
    /// The run has gone on without this workload.
    #[error("the identity was superseded")]
    Superseded,
    /// It could not be looked up.
    #[error("the identity could not be looked up")]
    Store(#[from] StoreError),
    /// Whoever knows the identities does not answer.
    #[error("the identity could not be checked now")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who knows whose a token is.
pub trait Identities: Send + Sync {
    /// The workload that shows this token: the run comes from the token, never from what the caller says.
    fn identify<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<(RunId, Generation), Unidentified>>;
}

/// The tokens that an adapter had issued, known by their digests.
pub struct Issued(pub Commands);

impl Identities for Issued {
    fn identify<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<(RunId, Generation), Unidentified>> {
        Box::pin(async move {
            let known = self.0.identify(Sha256::digest(token).into()).await?;
            known.ok_or(Unidentified::Unknown)
        })
    }
}

/// The request's bearer token.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl FromRequestParts<LinkState> for Identified {
    type Rejection = Unidentified;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &LinkState,
    ) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers).ok_or(Unidentified::Missing)?;
        let (run, generation) = state.identities.identify(token).await?;
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
            Self::NotYet => StatusCode::SERVICE_UNAVAILABLE,
            error @ (Self::Store(_) | Self::Away(_)) => {
                tracing::error!(error = error as &dyn std::error::Error, "no identity");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}
