use std::collections::HashMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    event::{Actor, Recorded},
    ids::{StreamVersion, UserId},
    settings::{self, Event, evolve},
};
use projections::Cursor;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Effective,
    diff::{FieldChangeBody, changes, section},
};
use crate::{
    access::Caller,
    answer::ListBody,
    problem::Answer,
    request::{ListQuery, Params},
    state::AppState,
};

const LIST: &str = "settings-history";

/// One change of the settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsChangeBody {
    /// The version of the settings that it made.
    version: u64,
    time: DateTime<Utc>,
    /// Who: `user:<id>`, `system:<part>`, `kubernetes:<id>`
    actor: String,
    /// The name that the cluster's API server authenticated, where it was somebody there.
    actor_name: Option<String>,
    /// The event, such as `settings.limits.changed`
    #[serde(rename = "type")]
    kind: String,
    /// `limits`, `allow-list`, `profiles` or `retention`
    section: &'static str,
    /// The profile's name, where it is about one.
    profile: Option<String>,
    /// What it changed. What nobody had changed before is told as configuration has it now.
    changes: Vec<FieldChangeBody>,
}

/// A change with what it was made to.
pub(super) struct Change<'a> {
    pub(super) recorded: &'a Recorded,
    pub(super) event: &'a Event,
    pub(super) before: settings::State,
}

impl Effective {
    /// Every change, the oldest first.
    pub(super) fn history(&self) -> Vec<Change<'_>> {
        let mut state = settings::State::default();
        self.log
            .changes()
            .map(|(recorded, event)| {
                let before = state.clone();
                state = evolve(std::mem::take(&mut state), event);
                Change { recorded, event, before }
            })
            .collect()
    }

    /// What the change of that version changed, and the event.
    pub(super) fn change_at(
        &self,
        version: StreamVersion,
    ) -> Option<(&Event, Vec<FieldChangeBody>)> {
        let history = self.history();
        let change = history.into_iter().find(|change| change.recorded.version == version)?;
        Some((change.event, changes(&self.configured, &change.before, change.event)))
    }
}

/// Lists who changed what of the settings, the newest first.
#[utoipa::path(get, path = "/api/v1/settings/history", operation_id = "listSettingsHistory", tag = "settings",
    params(ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<SettingsChangeBody>)))]
pub(crate) async fn list_settings_history(
    State(state): State<AppState>,
    _caller: Caller,
    Params(list): Params<ListQuery>,
) -> Answer<Json<ListBody<SettingsChangeBody>>> {
    state.at_least(list.at_least.as_deref()).await?;
    let limit = list.limit()? as usize;
    let before: u64 = match list.cursor.as_deref() {
        Some(cursor) => Cursor::key(LIST, cursor)?,
        None => u64::MAX,
    };
    let effective = state.installation().now().await?;
    let history = effective.history();
    let older = history.iter().rev().filter(|change| change.recorded.version.0 < before);
    let page: Vec<&Change<'_>> = older.take(limit + 1).collect();
    let next = (page.len() > limit).then(|| Cursor::after(LIST, page[limit - 1].recorded.version));
    let page = &page[..page.len().min(limit)];
    let ids: Vec<_> = page.iter().filter_map(|change| of_cluster(change.recorded.actor)).collect();
    let names = match &ids[..] {
        [] => HashMap::new(),
        ids => state.commands.kubernetes_names(ids).await?,
    };
    let items = page.iter().map(|change| body(&effective, change, &names)).collect();
    Ok(Json(ListBody { items, next: next.as_ref().map(Cursor::encode) }))
}

fn body(
    effective: &Effective,
    change: &Change<'_>,
    names: &HashMap<UserId, String>,
) -> SettingsChangeBody {
    let Change { recorded, event, before } = change;
    let (section, profile) = section(event);
    SettingsChangeBody {
        version: recorded.version.0,
        time: recorded.time,
        actor: recorded.actor.to_string(),
        actor_name: of_cluster(recorded.actor).and_then(|id| names.get(&UserId(id)).cloned()),
        kind: domain::codec::encode(&recorded.event).name,
        section,
        profile: profile.map(str::to_owned),
        changes: changes(&effective.configured, before, event),
    }
}

fn of_cluster(actor: Actor) -> Option<uuid::Uuid> {
    let Actor::Kubernetes(id) = actor else { return None };
    id.map(|id| id.0)
}
