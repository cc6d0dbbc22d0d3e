//! What objects tell: the state of a run or a session, as conditions. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use domain::run::Outcome;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use projections::model::{RunRow, RunState, SessionRow, reason};
use serde_json::Value;

use crate::{
    crds::{HarnessRunStatus, PullRequest, SessionStatus},
    names,
};

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    True,
    False,
    Unknown,
}

impl Is {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    const fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A condition that is as it was keeps the time of its last change.
pub(super) fn condition(
    before: &[Condition],
    name: &str,
    is: Is,
    reason: &str,
    words: String,
    generation: Option<i64>,
) -> Condition {
    let same = before.iter().find(|one| one.type_ == name && one.status == is.as_str());
    Condition {
        type_: name.to_owned(),
        status: is.as_str().to_owned(),
        reason: reason.to_owned(),
        message: words,
        observed_generation: generation,
        last_transition_time: match same {
            Some(same) => same.last_transition_time.clone(),
            None => Time(now()),
        },
    }
}

/// Now, in whole seconds, as objects keep it.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

fn time(of: DateTime<Utc>) -> Option<Time> {
    Timestamp::from_second(of.timestamp()).ok().map(Time)
}

/// The name of a state or an outcome, as everywhere.
fn name(of: impl serde::Serialize) -> String {
    serde_json::to_value(of)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What is told of a run.
pub(super) fn of_run(
    row: &RunRow,
    before: &[Condition],
    generation: Option<i64>,
) -> HarnessRunStatus {
    // Without the words of agents or people: they are read where they can be erased.
    let words = reason(row, |_| None);
    let told = |name: &str, is: Is, reason: &str, words: &str| {
        condition(before, name, is, reason, words.to_owned(), generation)
    };
    let why = words.as_deref().unwrap_or_default();
    let began = row.started_at.is_some();
    let fenced = row.fence.iter().any(|probe| probe.verdict.is_shut());
    let ready = matches!(
        row.state,
        RunState::Running | RunState::AwaitingInput | RunState::Idle | RunState::Publishing
    );
    let succeeded = match row.outcome {
        Some(Outcome::Succeeded) => told("Succeeded", Is::True, "Succeeded", "it ended well"),
        Some(Outcome::Failed) => told("Succeeded", Is::False, "Failed", why),
        Some(Outcome::Cancelled) => told("Succeeded", Is::False, "Cancelled", "it was cancelled"),
        None => told("Succeeded", Is::Unknown, "NotEnded", why),
    };
    HarnessRunStatus {
        id: Some(row.id.to_string()),
        state: Some(name(row.state)),
        pod: row.generation.map(|generation| names::pod(row.id, generation)),
        workloads: row.generation.map(|generation| i64::from(generation.0)),
        pull_request: row.pull_request.as_ref().and_then(|pull| {
            Some(PullRequest { url: pull.url.clone(), number: i64::try_from(pull.number).ok()? })
        }),
        started_at: row.started_at.and_then(time),
        finished_at: row.finished_at.and_then(time),
        observed_generation: generation,
        conditions: vec![
            told("Accepted", Is::True, "Accepted", "it is a run of Paddock's"),
            told(
                "Admitted",
                Is::of(began),
                if began { "Admitted" } else { "Queued" },
                if began { "" } else { why },
            ),
            told(
                "Fenced",
                Is::of(fenced),
                if fenced { "Proven" } else { "NotProven" },
                &proof(row),
            ),
            told("Ready", Is::of(ready), &pascal(&name(row.state)), why),
            succeeded,
        ],
        reason: words,
    }
}

/// What was tried from inside, and what became of it.
fn proof(row: &RunRow) -> String {
    let probes = row.fence.iter().map(|probe| format!("{}: {}", probe.target, name(probe.verdict)));
    probes.collect::<Vec<_>>().join("; ")
}

/// `awaiting_input` as `AwaitingInput`: what reasons look like.
fn pascal(snake: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    snake.split('_').filter_map(capital).collect()
}

/// How long a state stands that soon passes by itself, before it is told.
const SETTLED: TimeDelta = TimeDelta::seconds(5);

/// Whether a run is on its way through a state that is not worth a write yet: it will be told of the next, or of this
/// one once it stood for a while.
pub(super) fn is_passing(row: &RunRow, now: DateTime<Utc>) -> bool {
    let passes = matches!(
        row.state,
        RunState::Provisioning
            | RunState::Restoring
            | RunState::Publishing
            | RunState::Snapshotting
    );
    passes && now - row.since < SETTLED
}

/// What is told of a session, whose newest run is in `state`.
pub(super) fn of_session(
    row: &SessionRow,
    state: Option<RunState>,
    before: &[Condition],
    generation: Option<i64>,
) -> SessionStatus {
    let words = "it is a session of Paddock's".to_owned();
    SessionStatus {
        id: Some(row.id.to_string()),
        branch: Some(row.branch.to_string()),
        state: match row.active_run {
            Some(_) => Some("active".to_owned()),
            None => state.map(name),
        },
        pull_request: row.pull_request.as_ref().and_then(|pull| {
            Some(PullRequest { url: pull.url.clone(), number: i64::try_from(pull.number).ok()? })
        }),
        observed_generation: generation,
        conditions: vec![condition(before, "Accepted", Is::True, "Accepted", words, generation)],
    }
}

/// Whether a run's object tells that it ended.
pub(super) fn is_final(status: Option<&HarnessRunStatus>) -> bool {
    status.is_some_and(|status| status.finished_at.is_some())
}

/// A status as plain JSON, without what is null: as it is applied, and compared.
pub(super) fn plain(status: &impl serde::Serialize) -> Value {
    without_nulls(serde_json::to_value(status).unwrap_or_default())
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
