use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use projections::{AuditFilter, Cursor};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{AuditEventBody, AuditTextBody, entry};
use crate::{
    access::Caller,
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params},
    state::AppState,
};

/// Which events of the record.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// How many items, 1 to 200; 50 unless told otherwise.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// By whom: `user:<id>`, `pod:<run>/<generation>`, `system:<part>`, `kubernetes:<id>`
    actor: Option<String>,
    /// About what: a stream, `<kind>-<id>`; of refusals, what they were for.
    target: Option<String>,
    /// Of this type, such as `run.requested`, or `run.*`
    #[serde(rename = "type")]
    kind: Option<String>,
    /// `accepted` or `refused`
    outcome: Option<String>,
    /// Not before this time.
    since: Option<DateTime<Utc>>,
    /// Before this time.
    until: Option<DateTime<Utc>>,
}

/// Lists the events of the record, the newest first: every command of somebody, accepted or refused, and what came of
/// it.
#[utoipa::path(get, path = "/api/v1/audit/events", operation_id = "listAuditEvents", tag = "audit",
    params(AuditQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<AuditEventBody>)))]
pub(crate) async fn list_audit_events(
    State(state): State<AppState>,
    _caller: Caller,
    Params(query): Params<AuditQuery>,
) -> Answer<Json<ListBody<AuditEventBody>>> {
    let AuditQuery { limit, cursor, actor, target, kind, outcome, since, until } = query;
    if let Some(actor) = &actor {
        actor
            .parse::<domain::event::Actor>()
            .map_err(|error| Problem::malformed("actor", error))?;
    }
    if let Some(target) = &target {
        let target = target.parse::<domain::stream::StreamId>();
        target.map_err(|error| Problem::malformed("target", error))?;
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Problem::malformed("until", "must be after since"));
    }
    let refused = match outcome.as_deref() {
        None => None,
        Some("refused") => Some(true),
        Some("accepted") => Some(false),
        Some(_) => return Err(Problem::malformed("outcome", "must be accepted or refused")),
    };
    let filter = AuditFilter { actor, target, kind, refused, since, until };
    let list = ListQuery { limit, cursor, at_least: None };
    let page = state.views.audit(&filter, list.cursor.as_deref(), list.limit()?).await??;
    let items = AuditEventBody::list(&state, &page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}

/// An event with its cause and its effects, and what its leaf is made of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditStoryBody {
    event: AuditEventBody,
    /// The texts that its body refers to.
    texts: Vec<AuditTextBody>,
    /// What the same command recorded beside it, in order.
    command: Vec<AuditEventBody>,
    /// What was recorded of the same thing before it.
    before: Option<AuditEventBody>,
    /// What was recorded of the same thing after it, the first ones.
    after: Vec<AuditEventBody>,
    /// What was recorded elsewhere since and names it, the first ones.
    elsewhere: Vec<AuditEventBody>,
    /// What its leaf is the SHA-256 of, after a zero byte: the canonical form of what was recorded.
    entry: String,
    /// Its body as it was stored, of which the entry holds the SHA-256.
    stored: String,
    /// The leaf, in hexadecimal digits.
    leaf: String,
}

/// Shows an event of the record, with its cause and its effects.
#[utoipa::path(get, path = "/api/v1/audit/events/{position}", operation_id = "getAuditEvent", tag = "audit",
    params(("position" = u64, Path, description = "Its place in the log")),
    responses((status = 200, description = "The event", body = AuditStoryBody)))]
pub(crate) async fn get_audit_event(
    State(state): State<AppState>,
    _caller: Caller,
    Id(position): Id<u64>,
) -> Answer<Json<AuditStoryBody>> {
    let story = state.views.audit_story(position).await?;
    let story = story.ok_or_else(|| Problem::not_found("event"))?;
    let entry = entry(&story.event);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut body = AuditStoryBody {
        texts: AuditTextBody::of(&state, &story.event).await?,
        command: AuditEventBody::list(&state, &story.command).await?,
        before: None,
        after: AuditEventBody::list(&state, &story.after).await?,
        elsewhere: AuditEventBody::list(&state, &story.elsewhere).await?,
        entry: text(&entry.canonical()),
        stored: text(&story.event.body),
        leaf: hex::encode(entry.leaf()),
        event: one(&state, &story.event).await?,
    };
    if let Some(before) = &story.before {
        body.before = Some(one(&state, before).await?);
    }
    Ok(Json(body))
}

async fn one(state: &AppState, row: &projections::AuditRow) -> Answer<AuditEventBody> {
    let mut one = AuditEventBody::list(state, std::slice::from_ref(row)).await?;
    one.pop().ok_or_else(|| Problem::not_found("event"))
}
