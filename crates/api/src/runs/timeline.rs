use std::collections::HashMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    event::Actor,
    ids::{RunId, TextId, UserId},
};
use projections::{Cursor, model::TimelineRow};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Caller,
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params},
    state::AppState,
};

/// One entry of a run's time line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineBody {
    version: u64,
    position: u64,
    time: DateTime<Utc>,
    /// `user:<id>`, `pod:<run>/<generation>`, `system:<part>`, `kubernetes:<id>` or `kubernetes:unknown`
    actor: String,
    /// The name that the cluster's API server authenticated, where it was somebody there.
    actor_name: Option<String>,
    /// What happened, such as `run.admitted`
    #[serde(rename = "type")]
    kind: String,
    /// In words.
    summary: String,
    /// The beginning of the text that came with it, at most 2,000 bytes: a prompt, a question, an answer, the
    /// words of whoever failed. Null once erased. May be hostile: show it as text.
    text: Option<String>,
}

/// How many bytes of a text are in a time line.
const BEGINNING: u32 = 2000;

impl TimelineBody {
    /// Entries with the beginnings of their texts.
    pub(crate) async fn list(state: &AppState, rows: Vec<TimelineRow>) -> Answer<Vec<Self>> {
        let texts = rows.iter().filter_map(|row| row.text.as_ref()).map(|text| text.reference);
        let texts = state.views.beginnings(&texts.collect::<Vec<_>>(), BEGINNING).await?;
        let names: Vec<_> = rows.iter().filter_map(|row| of_cluster(row.actor)).collect();
        let names = match &names[..] {
            [] => HashMap::new(),
            ids => state.commands.kubernetes_names(ids).await?,
        };
        Ok(rows.into_iter().map(|row| Self::with(row, &texts, &names)).collect())
    }

    fn with(
        row: TimelineRow,
        texts: &HashMap<TextId, String>,
        names: &HashMap<UserId, String>,
    ) -> Self {
        Self {
            actor_name: of_cluster(row.actor).and_then(|id| names.get(&UserId(id)).cloned()),
            text: row.text.and_then(|text| texts.get(&text.reference).cloned()),
            version: row.version.0,
            position: row.position.0,
            time: row.time,
            actor: row.actor.to_string(),
            kind: row.name,
            summary: row.summary,
        }
    }
}

/// Whose name may be known, of those who are somebody on the cluster.
fn of_cluster(actor: Actor) -> Option<Uuid> {
    let Actor::Kubernetes(id) = actor else { return None };
    id.map(|id| id.0)
}

/// Lists what happened to a run, the oldest first.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", operation_id = "listRunEvents", tag = "runs",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<TimelineBody>)))]
pub(crate) async fn list_run_events(
    State(state): State<AppState>,
    _caller: Caller,
    Id(run): Id<RunId>,
    Params(list): Params<ListQuery>,
) -> Answer<Json<ListBody<TimelineBody>>> {
    state.at_least(list.at_least.as_deref()).await?;
    state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let page = state.views.timeline(run, list.cursor.as_deref(), list.limit()?).await??;
    let items = TimelineBody::list(&state, page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}
