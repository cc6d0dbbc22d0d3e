use audit::{VerifyingKey, proof::Proof};
use axum::{Json, extract::State};
use commands::audit::Audit;
use projections::AuditFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::entry;
use crate::{access::Caller, answer::ListBody, problem::Answer, state::AppState};

/// A key that checkpoints are or were signed with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditKeyBody {
    /// As verifiers name it: `<name>+<id>+<base64>`
    key: String,
    /// How the one before it handed over to it; null for the first.
    handover: Option<HandoverBody>,
}

/// A handover from one key to another: an event of the log, in a tree that both signed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoverBody {
    /// The checkpoint that both signed.
    checkpoint: String,
    /// The event's place in the log.
    position: u64,
    /// What its leaf is made of.
    entry: String,
    /// Its body as it was stored.
    stored: String,
    /// The proof that it is in that tree, in hexadecimal digits.
    hashes: Vec<String>,
}

/// Lists the keys that checkpoints were signed with, the oldest first.
#[utoipa::path(get, path = "/api/v1/audit/keys", operation_id = "listAuditKeys", tag = "audit",
    responses((status = 200, description = "All of them", body = ListBody<AuditKeyBody>)))]
pub(crate) async fn list_audit_keys(
    State(state): State<AppState>,
    _caller: Caller,
) -> Answer<Json<ListBody<AuditKeyBody>>> {
    let audit = state.commands.audit();
    let mut items = vec![];
    for key in audit.keys().await? {
        let handover = if items.is_empty() { None } else { handover(&state, &audit, &key).await? };
        items.push(AuditKeyBody { key: key.to_string(), handover });
    }
    Ok(Json(ListBody { items, next: None }))
}

async fn handover(
    state: &AppState,
    audit: &Audit,
    key: &VerifyingKey,
) -> Answer<Option<HandoverBody>> {
    let filter = AuditFilter { kind: Some("log.key.rotated".to_owned()), ..AuditFilter::default() };
    let page = state.views.audit(&filter, None, 200).await??;
    let to = format!("\"to\":\"{key}\"");
    let said = page.items.iter().find(|row| String::from_utf8_lossy(&row.body).contains(&to));
    let Some((row, position)) = said.and_then(|row| Some((row, row.position?))) else {
        return Ok(None);
    };
    let Some(signed) = audit.checkpoint_by(position, key).await? else { return Ok(None) };
    let size = signed.checkpoint().size;
    let hashes = audit.proof(Proof::Inclusion { position, size }).await?;
    Ok(Some(HandoverBody {
        checkpoint: signed.note().to_owned(),
        position,
        entry: String::from_utf8_lossy(&entry(row).canonical()).into_owned(),
        stored: String::from_utf8_lossy(&row.body).into_owned(),
        hashes: hashes.iter().map(hex::encode).collect(),
    }))
}
