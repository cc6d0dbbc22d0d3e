use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    event::Actor,
    ids::{TextId, UserId},
    leaf::Entry,
};
use projections::AuditRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{problem::Answer, state::AppState};

/// An event of the record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEventBody {
    /// Its place in the log; null for the moment before it has one.
    position: Option<u64>,
    id: Uuid,
    /// `<kind>-<id>`
    stream: String,
    version: u64,
    /// What happened, such as `run.requested`
    #[serde(rename = "type")]
    kind: String,
    /// The version of its body's schema.
    schema: u16,
    /// `user:<id>`, `pod:<run>/<generation>`, `system:<part>`, `kubernetes:<id>` or `kubernetes:unknown`
    actor: String,
    /// A name for people, where one is known.
    actor_name: Option<String>,
    time: DateTime<Utc>,
    /// The command that it belongs to.
    correlation: Uuid,
    /// `accepted` or `refused`
    outcome: &'static str,
    /// What was refused to be done, and to what: the target of a refusal. The stream otherwise.
    target: Option<String>,
    /// Its body. Texts of people are references in it.
    body: Value,
}

/// A text that an event refers to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditTextBody {
    id: Uuid,
    /// Its beginning, at most 2,000 bytes; null once erased. May be hostile: show it as text.
    text: Option<String>,
}

const REFUSED: &str = "actor.command.refused";
const BEGINNING: u32 = 2_000;

impl AuditEventBody {
    /// Events with the names of those who caused them.
    pub(super) async fn list(state: &AppState, rows: &[AuditRow]) -> Answer<Vec<Self>> {
        let names = names(state, rows).await?;
        Ok(rows.iter().map(|row| Self::with(row, &names)).collect())
    }

    fn with(row: &AuditRow, names: &HashMap<UserId, String>) -> Self {
        let body: Value = serde_json::from_slice(&row.body).unwrap_or(Value::Null);
        let refused = row.kind == REFUSED;
        let target = match body["target"].as_str() {
            Some(target) if refused => Some(target.to_owned()),
            _ if refused => None,
            _ => Some(row.stream.clone()),
        };
        Self {
            position: row.position,
            id: row.id.0,
            stream: row.stream.clone(),
            version: row.version.0,
            kind: row.kind.clone(),
            schema: row.schema,
            actor: row.actor.clone(),
            actor_name: somebody(&row.actor).and_then(|id| names.get(&id).cloned()),
            time: row.time,
            correlation: row.correlation.0,
            outcome: if refused { "refused" } else { "accepted" },
            target,
            body,
        }
    }
}

impl AuditTextBody {
    /// The texts that an event refers to.
    pub(super) async fn of(state: &AppState, row: &AuditRow) -> Answer<Vec<Self>> {
        let ids: Vec<TextId> =
            audit::export::references(&row.body).into_iter().map(|(id, _)| TextId(id)).collect();
        let mut texts = state.views.beginnings(&ids, BEGINNING).await?;
        Ok(ids.into_iter().map(|id| Self { id: id.0, text: texts.remove(&id) }).collect())
    }
}

/// What the leaf of an event is the hash of.
pub(super) fn entry(row: &AuditRow) -> Entry<'_> {
    Entry {
        stream: &row.stream,
        version: row.version.0,
        id: row.id,
        name: &row.kind,
        time: row.time,
        actor: &row.actor,
        schema: row.schema,
        body: &row.body,
        correlation: Some(row.correlation),
    }
    .in_form(row.form)
}

fn somebody(actor: &str) -> Option<UserId> {
    match actor.parse() {
        Ok(Actor::User(id) | Actor::Kubernetes(Some(id))) => Some(id),
        _ => None,
    }
}

async fn names(state: &AppState, rows: &[AuditRow]) -> Answer<HashMap<UserId, String>> {
    let mut ids: Vec<Uuid> = rows.iter().filter_map(|row| Some(somebody(&row.actor)?.0)).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut names = state.commands.kubernetes_names(&ids).await?;
    let people = sqlx::query!(
        r#"select id, coalesce(name, email) as "name!" from runtime.person
           where id = any($1) and coalesce(name, email) is not null"#,
        &ids,
    )
    .fetch_all(state.pool())
    .await?;
    names.extend(people.into_iter().map(|person| (UserId(person.id), person.name)));
    Ok(names)
}
