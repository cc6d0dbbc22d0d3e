use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use commands::KnownCredential;
use domain::{
    access::{Action, Role},
    ids::TextId,
    run::{Probe, Usage},
    text::TextRef,
};
use projections::model::{PullRequest, RunAction as Asked, RunRow, reason};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Allowance,
    names::{EgressMode, InputKind, ProbeVerdict, RunAction, RunFailure, RunOutcome, RunState},
    problem::Answer,
    state::AppState,
};

/// How many bytes of a prompt are in lists.
const BEGINNING: u32 = 4096;

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RunBody {
    id: Uuid,
    session_id: Uuid,
    pub(crate) state: RunState,
    /// Since when it is in that state.
    pub(crate) since: DateTime<Utc>,
    /// Why it is in that state, in words.
    pub(crate) reason: Option<String>,
    /// How it ended, once it has.
    outcome: Option<RunOutcome>,
    /// Why it failed, or is about to.
    failure: Option<RunFailure>,
    repo: String,
    branch: String,
    base: String,
    issue: Option<u64>,
    /// The first prompt; null once erased. In lists its beginning: at most 4,096 bytes.
    prompt: Option<String>,
    /// How many prompts it had.
    prompts: u32,
    profile: String,
    /// What it may reach beside the model.
    egress: EgressMode,
    /// Who decided that, and why, where it was decided for this run.
    egress_changed: Option<EgressChangeBody>,
    /// Whether the pull request is to be a draft.
    draft: bool,
    generation: Option<u32>,
    /// How often a lost workload was started again.
    retries: u32,
    pull_request: Option<PullRequestBody>,
    /// The credential that its requests to the forge carry; null where that is the installation's own.
    credential: Option<RunCredentialBody>,
    usage: UsageBody,
    /// What waits for an answer.
    pub(crate) inputs: Vec<InputBody>,
    /// Until when it stays idle.
    idle_until: Option<DateTime<Utc>>,
    /// When it is ended if it has not by then.
    deadline_at: Option<DateTime<Utc>>,
    /// What holds the workload in.
    sandbox: Option<String>,
    /// The limits that are not enforced here.
    missing_limits: Vec<String>,
    /// Whether it may run although its fence or a limit cannot be enforced.
    accepts_unenforced: bool,
    /// How its fence was proven.
    fence: Vec<ProbeBody>,
    /// What last happened.
    last_event: String,
    /// When that was.
    last_event_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    created_by: Uuid,
    version: u64,
    /// What the one who asks may ask of it now.
    allowed_actions: Vec<RunAction>,
}

/// A decision on what a run may reach.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EgressChangeBody {
    at: DateTime<Utc>,
    /// As in the time line.
    actor: String,
    /// Why; null where nothing was said, or once erased.
    reason: Option<String>,
}

/// The credential of a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RunCredentialBody {
    id: Uuid,
    name: String,
    /// Which of its values was used last; null before it was used.
    generation: Option<u32>,
    /// Since when.
    used_at: Option<DateTime<Utc>>,
    /// Whether it was revoked meanwhile: the run gets nothing from the forge any more.
    revoked: bool,
}

/// A pull request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PullRequestBody {
    pub(crate) url: String,
    pub(crate) number: u64,
}

/// What was used.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cached_tokens: u64,
    /// In millionths of a US dollar.
    cost_micro_usd: u64,
}

/// Something that waits for an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct InputBody {
    id: String,
    /// The run whose agent asks.
    run_id: Uuid,
    kind: InputKind,
    /// The agent's own JSON of it; null once erased. Hostile: show it as text.
    detail: Option<Value>,
    since: DateTime<Utc>,
    /// When it is refused if nobody answers.
    until: DateTime<Utc>,
}

/// One probe of the fence, from inside.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProbeBody {
    /// What was dialled or looked up.
    target: String,
    verdict: ProbeVerdict,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cached_tokens: usage.cached_tokens,
            cost_micro_usd: usage.cost_micro_usd,
        }
    }
}

impl RunCredentialBody {
    fn of(row: &RunRow, credentials: &[KnownCredential]) -> Option<Self> {
        let id = row.requested.credential?;
        let known = credentials.iter().find(|known| known.id == id)?;
        let used = row.credential.as_ref();
        Some(Self {
            id: id.0,
            name: known.credential.registered.name.to_string(),
            generation: used.map(|used| used.generation.0),
            used_at: used.map(|used| used.at),
            revoked: known.revoked.is_some(),
        })
    }
}

impl From<PullRequest> for PullRequestBody {
    fn from(pull: PullRequest) -> Self {
        Self { url: pull.url, number: pull.number }
    }
}

impl From<Probe> for ProbeBody {
    fn from(probe: Probe) -> Self {
        Self { target: probe.target, verdict: probe.verdict.into() }
    }
}

type Texts = HashMap<TextId, String>;

impl RunBody {
    /// A run with its texts.
    pub(crate) async fn one(state: &AppState, to: &Allowance, row: RunRow) -> Answer<Self> {
        let session = row.requested.session;
        let role = to.roles([session]).await?.get(&session).copied();
        let ids: Vec<TextId> = row.texts().map(|text| text.reference).collect();
        let texts = state.views.texts(&ids).await?;
        let credentials = state.commands.credentials().await?;
        Ok(Self::with(row, role, &texts, &credentials))
    }

    /// Runs for a list, with the beginnings of their prompts.
    pub(crate) async fn list(
        state: &AppState,
        to: &Allowance,
        rows: Vec<RunRow>,
    ) -> Answer<Vec<Self>> {
        let roles = to.roles(rows.iter().map(|row| row.requested.session)).await?;
        let prompts: Vec<TextId> =
            rows.iter().filter_map(|row| row.prompt.as_ref()).map(|text| text.reference).collect();
        let is_prompt = |id: &TextId| prompts.contains(id);
        let others: Vec<TextId> = rows
            .iter()
            .flat_map(|row| row.texts().map(|text| text.reference).filter(|id| !is_prompt(id)))
            .collect();
        let mut texts = state.views.texts(&others).await?;
        texts.extend(state.views.beginnings(&prompts, BEGINNING).await?);
        let credentials = state.commands.credentials().await?;
        let role = |row: &RunRow| roles.get(&row.requested.session).copied();
        Ok(rows
            .into_iter()
            .map(|row| {
                let role = role(&row);
                Self::with(row, role, &texts, &credentials)
            })
            .collect())
    }

    fn with(
        row: RunRow,
        role: Option<Role>,
        texts: &Texts,
        credentials: &[KnownCredential],
    ) -> Self {
        let text = |text: &TextRef| texts.get(&text.reference).map(String::as_str);
        let inputs = row.inputs.iter().map(|(id, input)| InputBody {
            id: id.0.clone(),
            run_id: row.id.0,
            kind: input.kind.into(),
            detail: text(&input.detail).and_then(|detail| serde_json::from_str(detail).ok()),
            since: input.since,
            until: input.until,
        });
        let egress_changed = row.egress.changed.as_ref().map(|changed| EgressChangeBody {
            at: changed.at,
            actor: changed.actor.to_string(),
            reason: changed.reason.as_ref().and_then(text).map(str::to_owned),
        });
        let credential = RunCredentialBody::of(&row, credentials);
        let deadline = TimeDelta::seconds(row.requested.deadline_seconds.into());
        let (sandbox, missing_limits) =
            row.enforcement.clone().map(|held| (held.sandbox, held.missing)).unzip();
        Self {
            id: row.id.0,
            session_id: row.requested.session.0,
            state: row.state.into(),
            since: row.since,
            reason: reason(&row, text),
            outcome: row.outcome.map(Into::into),
            failure: row.failure.map(Into::into),
            inputs: inputs.collect(),
            prompt: row.prompt.as_ref().and_then(text).map(str::to_owned),
            allowed_actions: allowed(role, &row).into_iter().map(Into::into).collect(),
            repo: row.requested.repo.to_string(),
            branch: row.requested.branch.to_string(),
            base: row.requested.base.to_string(),
            issue: row.requested.issue,
            prompts: row.prompts,
            profile: row.requested.profile,
            egress: row.egress.mode.into(),
            egress_changed,
            draft: row.requested.draft,
            generation: row.generation.map(|generation| generation.0),
            retries: row.retries,
            pull_request: row.pull_request.map(Into::into),
            credential,
            usage: row.usage.into(),
            idle_until: row.idle_until,
            deadline_at: row.started_at.map(|started| started + deadline),
            sandbox,
            missing_limits: missing_limits.unwrap_or_default(),
            accepts_unenforced: row.requested.accept_unenforced,
            fence: row.fence.into_iter().map(Into::into).collect(),
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

/// What would be accepted of somebody now, by what they are to the run's session.
fn allowed(role: Option<Role>, row: &RunRow) -> Vec<Asked> {
    let mut actions = row.allowed_actions();
    actions.retain(|asked| {
        let action = match asked {
            Asked::Prompt => Action::PromptRun,
            Asked::Answer => Action::GiveInput,
            Asked::Interrupt => Action::InterruptRun,
            Asked::Finish => Action::FinishRun,
            Asked::Cancel => Action::CancelRun,
            Asked::Publish => Action::PublishRun,
            Asked::WidenEgress => Action::OpenEgress,
            Asked::NarrowEgress => Action::ChangeEgress,
        };
        role >= action.needs()
    });
    actions
}
