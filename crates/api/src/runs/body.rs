use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    ids::TextId,
    run::{InputKind, Outcome},
};
use projections::model::{RunRow, RunState, reason};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{problem::Answer, state::AppState};

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunBody {
    id: Uuid,
    session_id: Uuid,
    /// queued, provisioning, restoring, running, awaiting_input, idle, publishing, snapshotting, succeeded,
    /// failed or cancelled
    #[schema(value_type = String)]
    state: RunState,
    /// Since when it is in that state.
    since: DateTime<Utc>,
    /// Why it is in that state, in words.
    reason: Option<String>,
    /// succeeded, failed or cancelled, once it has ended.
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    /// Why it failed, as a kind.
    #[schema(value_type = Option<String>)]
    failure: Option<domain::run::Failure>,
    repo: String,
    branch: String,
    base: String,
    /// The first prompt; null once erased.
    prompt: Option<String>,
    profile: String,
    egress: String,
    generation: Option<u32>,
    pull_request: Option<PullRequestBody>,
    usage: UsageBody,
    /// What waits for an answer.
    inputs: Vec<InputBody>,
    /// Until when it stays idle.
    idle_until: Option<DateTime<Utc>>,
    /// The limits that are not enforced here.
    missing_limits: Vec<String>,
    /// What last happened.
    last_event: String,
    /// When that was.
    last_event_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    created_by: Uuid,
    version: u64,
    /// What may be asked of it now.
    allowed_actions: Vec<&'static str>,
}

/// A pull request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PullRequestBody {
    pub(crate) url: String,
    pub(crate) number: u64,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cached_tokens: u64,
    /// In millionths of a US dollar.
    cost_micro_usd: u64,
}

/// Something that waits for an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InputBody {
    id: String,
    /// permission or question
    #[schema(value_type = String)]
    kind: InputKind,
    /// The agent's own JSON of it; null once erased. Hostile: show it as text.
    detail: Option<Value>,
    since: DateTime<Utc>,
    /// When it is refused if nobody answers.
    until: DateTime<Utc>,
}

impl RunBody {
    /// Runs with their texts.
    pub(crate) async fn of(state: &AppState, rows: Vec<RunRow>) -> Answer<Vec<Self>> {
        let ids: Vec<TextId> = rows
            .iter()
            .flat_map(|row| {
                let inputs = row.inputs.values().map(|input| &input.detail);
                row.prompt.iter().chain(&row.detail).chain(inputs).map(|text| text.reference)
            })
            .collect();
        let texts = state.views.texts(&ids).await?;
        Ok(rows.into_iter().map(|row| Self::with(row, &texts)).collect())
    }

    fn with(row: RunRow, texts: &HashMap<TextId, String>) -> Self {
        let text = |reference: &domain::text::TextRef| texts.get(&reference.reference);
        let detail = row.detail.as_ref().and_then(text).map(String::as_str);
        let inputs = row.inputs.iter().map(|(id, input)| InputBody {
            id: id.0.clone(),
            kind: input.kind,
            detail: text(&input.detail).and_then(|detail| serde_json::from_str(detail).ok()),
            since: input.since,
            until: input.until,
        });
        Self {
            id: row.id.0,
            session_id: row.requested.session.0,
            state: row.state,
            since: row.since,
            reason: reason(&row, detail),
            outcome: row.outcome,
            failure: row.failure,
            inputs: inputs.collect(),
            prompt: row.prompt.as_ref().and_then(text).cloned(),
            allowed_actions: actions(&row),
            repo: row.requested.repo.to_string(),
            branch: row.requested.branch.to_string(),
            base: row.requested.base.to_string(),
            profile: row.requested.profile,
            egress: row.requested.egress,
            generation: row.generation.map(|generation| generation.0),
            pull_request: row
                .pull_request
                .map(|pull| PullRequestBody { url: pull.url, number: pull.number }),
            usage: UsageBody {
                input_tokens: row.usage.input_tokens,
                output_tokens: row.usage.output_tokens,
                reasoning_tokens: row.usage.reasoning_tokens,
                cached_tokens: row.usage.cached_tokens,
                cost_micro_usd: row.usage.cost_micro_usd,
            },
            idle_until: row.idle_until,
            missing_limits: row.enforcement.map(|held| held.missing).unwrap_or_default(),
            last_event: row.last_event.0,
            last_event_at: row.last_event.1,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            created_by: row.requested.owner.0,
            version: row.version.0,
        }
    }
}

/// What `decide` would accept: the page offers these and no others.
fn actions(row: &RunRow) -> Vec<&'static str> {
    let mut actions = match row.state {
        RunState::Queued | RunState::Provisioning | RunState::Restoring => vec!["prompt", "cancel"],
        RunState::Running => vec!["prompt", "interrupt", "finish", "cancel"],
        RunState::AwaitingInput => vec!["answer", "prompt", "interrupt", "finish", "cancel"],
        RunState::Idle => vec!["prompt", "finish", "cancel"],
        RunState::Publishing => vec!["cancel"],
        RunState::Snapshotting if !row.cancelling => vec!["cancel"],
        RunState::Snapshotting | RunState::Succeeded | RunState::Failed | RunState::Cancelled => {
            vec![]
        }
    };
    let unpublished = row.pushed.is_some() && row.pull_request.is_none();
    if row.finished_at.is_some() && unpublished {
        actions.push("publish");
    }
    actions
}
