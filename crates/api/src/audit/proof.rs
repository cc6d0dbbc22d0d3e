use audit::{
    SignedCheckpoint,
    proof::{Proof, ProofError},
};
use axum::{Json, extract::State};
use commands::audit::NoProof;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    problem::{Answer, Problem},
    request::Params,
    state::AppState,
};

/// What is to be proven.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct InclusionQuery {
    /// The event's place in the log.
    position: u64,
    /// The size of a checkpoint; that of the newest one unless told otherwise.
    size: Option<u64>,
}

/// A proof that an event is in what was signed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InclusionBody {
    position: u64,
    /// How many positions the tree has that it is proven to be in.
    size: u64,
    /// The leaf, in hexadecimal digits.
    leaf: String,
    /// The hashes beside the path from the leaf to the root (RFC 6962), in hexadecimal digits.
    hashes: Vec<String>,
    /// What was signed of that tree, or of a larger one where no size was asked for.
    checkpoint: Option<String>,
}

/// Proves that an event is in what was signed.
#[utoipa::path(get, path = "/api/v1/audit/proof/inclusion", operation_id = "getInclusionProof", tag = "audit",
    params(InclusionQuery),
    responses((status = 200, description = "The proof", body = InclusionBody)))]
pub(crate) async fn get_inclusion_proof(
    State(state): State<AppState>,
    _caller: Caller,
    Params(InclusionQuery { position, size }): Params<InclusionQuery>,
) -> Answer<Json<InclusionBody>> {
    let audit = state.commands.audit();
    let newest = state.checkpoint().await?.checkpoint;
    let size = size.unwrap_or(newest.checkpoint().size);
    let signed =
        |it: &SignedCheckpoint| (it.checkpoint().size == size).then(|| it.note().to_owned());
    let checkpoint = match signed(&newest) {
        Some(note) => Some(note),
        None => audit.checkpoint_covering(size).await?.and_then(|older| signed(&older.checkpoint)),
    };
    let hashes = audit.proof(Proof::Inclusion { position, size }).await?;
    let leaf = audit.leaf(position).await?.ok_or_else(|| Problem::not_found("event"))?;
    let hashes = hashes.iter().map(hex::encode).collect();
    Ok(Json(InclusionBody { position, size, leaf: hex::encode(leaf), hashes, checkpoint }))
}

/// What is to be proven.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsistencyQuery {
    /// The size of the older checkpoint.
    from: u64,
    /// The size of the newer one.
    to: u64,
}

/// A proof that what was signed goes on from what was signed before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsistencyBody {
    from: u64,
    to: u64,
    /// The hashes of the proof (RFC 6962), in hexadecimal digits.
    hashes: Vec<String>,
}

/// Proves that what was signed goes on from what was signed before.
#[utoipa::path(get, path = "/api/v1/audit/proof/consistency", operation_id = "getConsistencyProof", tag = "audit",
    params(ConsistencyQuery),
    responses((status = 200, description = "The proof", body = ConsistencyBody)))]
pub(crate) async fn get_consistency_proof(
    State(state): State<AppState>,
    _caller: Caller,
    Params(ConsistencyQuery { from, to }): Params<ConsistencyQuery>,
) -> Answer<Json<ConsistencyBody>> {
    let hashes = state.commands.audit().proof(Proof::Consistency { from, size: to }).await?;
    Ok(Json(ConsistencyBody { from, to, hashes: hashes.iter().map(hex::encode).collect() }))
}

impl From<NoProof> for Problem {
    fn from(error: NoProof) -> Self {
        match error {
            NoProof::Proof(ProofError::NotInTree) => {
                Self::malformed("position", "there is nothing of that kind to prove")
            }
            NoProof::NotSigned(size) => {
                Self::unavailable("not-signed-yet", "Not so much is signed yet")
                    .detail(format!("{size} positions are"))
            }
            NoProof::Proof(error) => {
                Self::unavailable("no-proof", "The proof cannot be made").detail(error)
            }
            NoProof::Store(error) => error.into(),
        }
    }
}
