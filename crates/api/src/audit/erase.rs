use axum::{Json, extract::State, http::StatusCode};
use commands::{
    Caused, CommandError, Commands,
    audit::{EraseError, ErasedBundle},
};
use domain::{
    event::{Actor, Part},
    ids::TextId,
    session,
    stream::StreamId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    bundles::{BundleError, Bundles},
    problem::{Answer, Problem},
    request::Asked,
    state::AppState,
};

/// What is to be erased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    /// The texts, by the `ref` that events have in their place: 1 to 100.
    texts: Vec<Uuid>,
}

/// What an erasure reached, and what it cannot reach.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureBody {
    /// The log's own stream.
    stream: String,
    /// The version of it that says what was erased.
    version: u64,
    texts: Vec<Uuid>,
    /// The runs whose output and diff went, because they may repeat it.
    runs: Vec<Uuid>,
    /// The bundles that went, `<session>.<digest>`
    bundles: Vec<String>,
    /// Those that are still in the store, which does not answer: it is tried again every minute.
    waiting: Vec<String>,
    /// What no server can take back, in words.
    not_reached: Vec<&'static str>,
}

/// What an erasure does not reach.
const NOT_REACHED: &[&str] = &[
    "exports of the record that were taken before, which go on to verify",
    "backups of the database and of the artifact store, and files of the database until it is vacuumed",
    "what was pushed to the forge or said to it: commits, pull requests, issues",
    "what was sent to the model's provider, to webhooks and other receivers",
];

/// Erases texts: they, and all output and bundles that may repeat them, go for ever. What committed to them stays, so
/// that every proof holds that held before.
#[utoipa::path(post, path = "/api/v1/audit/erasures", operation_id = "eraseTexts", tag = "audit",
    request_body = ErasureRequest,
    responses((status = 200, description = "They are erased", body = ErasureBody)))]
pub(crate) async fn erase_texts(
    State(state): State<AppState>,
    asked: Asked<ErasureRequest>,
) -> Answer<Json<ErasureBody>> {
    let texts = &asked.body.texts;
    if texts.is_empty() || texts.len() > 100 {
        return Err(Problem::field("texts", "must name 1 to 100 texts"));
    }
    let ids: Vec<TextId> = texts.iter().copied().map(TextId).collect();
    let erased = state.commands.audit().erase(&ids, &asked.by.caused(vec![])).await;
    let erased = erased.map_err(Problem::from);
    let erased = asked.by.audited(&state, "text.erase", Some(StreamId::LOG), erased).await?;
    let waiting = remove_erased_bundles(&state.commands, &state.bundles).await?;
    let name = |bundle: &ErasedBundle| format!("{}.{}", bundle.session, bundle.digest);
    let (waiting, bundles): (Vec<_>, Vec<_>) =
        erased.bundles.iter().partition(|bundle| waiting.contains(bundle));
    Ok(Json(ErasureBody {
        stream: StreamId::LOG.to_string(),
        version: erased.version.0,
        texts: texts.clone(),
        runs: erased.runs.iter().map(|run| run.0).collect(),
        bundles: bundles.into_iter().map(name).collect(),
        waiting: waiting.into_iter().map(name).collect(),
        not_reached: NOT_REACHED.to_vec(),
    }))
}

/// Takes the bundles that may hold erased texts out of the store; those that could not be are answered.
pub async fn remove_erased_bundles(
    commands: &Commands,
    bundles: &Bundles,
) -> Result<Vec<ErasedBundle>, commands::StoreError> {
    let audit = commands.audit();
    let mut waiting = vec![];
    for bundle in audit.erased_bundles().await? {
        match remove(commands, bundles, &bundle).await {
            Ok(()) => audit.bundle_removed(&bundle).await?,
            Err(error) => {
                let (session, digest) = (bundle.session, &bundle.digest);
                let error: &dyn std::error::Error = &error;
                tracing::error!(%session, %digest, error, "a bundle with an erased text could not be removed");
                waiting.push(bundle);
            }
        }
    }
    Ok(waiting)
}

#[derive(Debug, thiserror::Error)]
enum NotRemoved {
    #[error("the store failed")]
    Bundle(#[from] BundleError),
    #[error("the session could not be told")]
    Command(#[from] CommandError),
}

async fn remove(
    commands: &Commands,
    bundles: &Bundles,
    bundle: &ErasedBundle,
) -> Result<(), NotRemoved> {
    bundles.remove(bundle.session, &bundle.digest).await?;
    let command = session::Command::ExpireBundle { digest: bundle.digest.clone() };
    let caused = Caused::by(Actor::System(Part::Retention));
    match commands.session(bundle.session, command, caused).await {
        Ok(_) | Err(CommandError::Session(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::NoSuchText(_) => {
                Self::refused(StatusCode::NOT_FOUND, "no-such-text", "texts", error)
            }
            EraseError::RunActive { .. } => {
                Self::refused(StatusCode::CONFLICT, "run-active", "texts", error)
            }
            EraseError::Command(error) => error.into(),
        }
    }
}
