use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::Accepted;
use domain::{
    ids::StreamVersion,
    settings::{Command, Event, Fault, Limits, Profile, decide},
    stream::StreamId,
};
use projections::model::RunRow;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AllowListValues, Effective, LimitsValues, ProfileChange, RetentionValues,
    diff::{FieldChangeBody, changes},
    words::{self, InFlight},
};
use crate::{
    problem::{Answer, Problem},
    request::{Asked, Nothing, Params, Segments},
    state::AppState,
};

/// How a change is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeQuery {
    /// Only says what it would change, and what is wrong with it. Nothing is changed.
    #[serde(default)]
    dry_run: bool,
}

/// What a change came to, or would come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsChangedBody {
    /// Always `00000000-0000-0000-0000-000000000000`: there is one such stream.
    #[schema(value_type = String, format = "uuid")]
    id: uuid::Uuid,
    /// The settings' stream.
    #[schema(value_type = String)]
    stream: StreamId,
    /// The version of the settings with the change in them; as they are where nothing changes.
    #[schema(value_type = u64)]
    version: StreamVersion,
    /// What changes. Empty where it was so before.
    changes: Vec<FieldChangeBody>,
    /// When that has its effect, and on which runs.
    effect: String,
    /// Whether it was only asked what would change.
    dry_run: bool,
}

/// A change's answer: 200 where nothing was to be changed, 202 otherwise.
pub(crate) struct Changed(SettingsChangedBody);

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        let status = if self.0.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
        let etag = format!("\"{}\"", self.0.version);
        (status, [(header::ETAG, etag)], Json(self.0)).into_response()
    }
}

/// Sets how many runs may be active at once.
#[utoipa::path(put, path = "/api/v1/settings/limits", operation_id = "setLimits", tag = "settings",
    params(ChangeQuery), request_body = LimitsValues,
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn set_limits(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<LimitsValues>,
) -> Answer<Changed> {
    let LimitsValues { max_runs, max_runs_per_owner, max_runs_per_session } = asked.body;
    let command = Command::ChangeLimits(Some(Limits { max_runs, max_runs_per_owner }));
    let session = (max_runs_per_session != 1).then(|| Fault {
        field: "max_runs_per_session".to_owned(),
        words: "is 1: a session's bundle is one line; to work in parallel, fork the session"
            .to_owned(),
    });
    change(&state, &asked, query, command, session.into_iter().collect()).await
}

/// Lets the limits be as configuration says again.
#[utoipa::path(delete, path = "/api/v1/settings/limits", operation_id = "resetLimits", tag = "settings",
    params(ChangeQuery),
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn reset_limits(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<Nothing>,
) -> Answer<Changed> {
    change(&state, &asked, query, Command::ChangeLimits(None), vec![]).await
}

/// Sets which hosts runs may reach beside the forge and the model.
#[utoipa::path(put, path = "/api/v1/settings/allow-list", operation_id = "setAllowList", tag = "settings",
    params(ChangeQuery), request_body = AllowListValues,
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn set_allow_list(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<AllowListValues>,
) -> Answer<Changed> {
    let command = Command::ChangeAllowList(Some(asked.body.hosts.clone()));
    change(&state, &asked, query, command, vec![]).await
}

/// Lets the allow-list be as configuration says again.
#[utoipa::path(delete, path = "/api/v1/settings/allow-list", operation_id = "resetAllowList", tag = "settings",
    params(ChangeQuery),
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn reset_allow_list(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<Nothing>,
) -> Answer<Changed> {
    change(&state, &asked, query, Command::ChangeAllowList(None), vec![]).await
}

/// Sets how long what runs leave behind is kept.
#[utoipa::path(put, path = "/api/v1/settings/retention", operation_id = "setRetention", tag = "settings",
    params(ChangeQuery), request_body = RetentionValues,
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn set_retention(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<RetentionValues>,
) -> Answer<Changed> {
    let command = Command::ChangeRetention(Some(asked.body.into()));
    change(&state, &asked, query, command, vec![]).await
}

/// Lets the retention be as configuration says again.
#[utoipa::path(delete, path = "/api/v1/settings/retention", operation_id = "resetRetention", tag = "settings",
    params(ChangeQuery),
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn reset_retention(
    State(state): State<AppState>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<Nothing>,
) -> Answer<Changed> {
    change(&state, &asked, query, Command::ChangeRetention(None), vec![]).await
}

/// Sets what a harness profile gives; makes it where there is none of that name.
#[utoipa::path(put, path = "/api/v1/settings/profiles/{name}", operation_id = "setProfile", tag = "settings",
    params(("name" = String, Path), ChangeQuery), request_body = ProfileChange,
    responses((status = 200, description = "It would be so", body = SettingsChangedBody),
        (status = 202, description = "It is so", body = SettingsChangedBody)))]
pub(crate) async fn set_profile(
    State(state): State<AppState>,
    Segments(name): Segments<String>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<ProfileChange>,
) -> Answer<Changed> {
    let profile = Profile::from(asked.body.clone());
    let not_here = state.settings.configured.place.faults(&profile);
    let command = Command::ChangeProfile { name, profile: Box::new(profile) };
    change(&state, &asked, query, command, not_here).await
}

/// Takes a harness profile away. Runs that were asked for with it keep what it gave.
#[utoipa::path(delete, path = "/api/v1/settings/profiles/{name}", operation_id = "removeProfile", tag = "settings",
    params(("name" = String, Path), ChangeQuery),
    responses((status = 200, description = "It would be gone", body = SettingsChangedBody),
        (status = 202, description = "It is gone", body = SettingsChangedBody)))]
pub(crate) async fn remove_profile(
    State(state): State<AppState>,
    Segments(name): Segments<String>,
    Params(query): Params<ChangeQuery>,
    asked: Asked<Nothing>,
) -> Answer<Changed> {
    let configured = state.settings.configured.has_profile(&name);
    let command = Command::RemoveProfile { name, configured };
    change(&state, &asked, query, command, vec![]).await
}

const NAME: &str = "settings.change";

/// Carries out a change, or says what it would come to. `faults` is what the domain cannot know of.
async fn change<T>(
    state: &AppState,
    asked: &Asked<T>,
    query: ChangeQuery,
    command: Command,
    faults: Vec<Fault>,
) -> Answer<Changed> {
    let by = &asked.by;
    let about = About::of(&command);
    let before = state.installation().now().await?;
    if query.dry_run {
        by.matches(before.version())?;
        let event = decided(&before, command, faults)?;
        let changes = changed(&before, event.as_ref());
        let version = if event.is_some() { before.version().next() } else { before.version() };
        return answer(state, about, version, changes, true).await;
    }
    if let Some(first) = by.answered(state, NAME, Some(StreamId::SETTINGS)).await? {
        let (_, changes) = before.change_at(first.version).unzip();
        return answer(state, about, first.version, changes.unwrap_or_default(), false).await;
    }
    let event = decided(&before, command.clone(), faults);
    let event = by.audited(state, NAME, Some(StreamId::SETTINGS), event).await?;
    let Accepted { version, .. } = state.commands.settings(command, by.caused(vec![])).await?;
    let after = state.installation().now().await?;
    // Somebody else's change may be the one of that version: then this one changed nothing.
    let made = after.change_at(version).filter(|(made, _)| event.as_ref() == Some(*made));
    let changes = made.map(|(_, changes)| changes).unwrap_or_default();
    answer(state, about, version, changes, false).await
}

/// What the command comes to, with everything that is wrong with it at once.
fn decided(before: &Effective, command: Command, mut faults: Vec<Fault>) -> Answer<Option<Event>> {
    use domain::settings::Rejection;
    match decide(&before.log.state, command) {
        Ok(mut events) if faults.is_empty() => Ok(events.pop()),
        Ok(_) => Err(Problem::settings(&Rejection::Invalid(faults))),
        Err(Rejection::Invalid(more)) => {
            faults.extend(more);
            Err(Problem::settings(&Rejection::Invalid(faults)))
        }
        Err(rejection) => Err(Problem::settings(&rejection)),
    }
}

fn changed(before: &Effective, event: Option<&Event>) -> Vec<FieldChangeBody> {
    let of = |event| changes(&before.configured, &before.log.state, event);
    event.map(of).unwrap_or_default()
}

/// What a change is about, for the words on its effect.
enum About {
    Limits,
    AllowList,
    Profile(String),
    Retention(Option<domain::settings::Retention>),
}

impl About {
    fn of(command: &Command) -> Self {
        match command {
            Command::ChangeLimits(_) => Self::Limits,
            Command::ChangeAllowList(_) => Self::AllowList,
            Command::ChangeProfile { name, .. } | Command::RemoveProfile { name, .. } => {
                Self::Profile(name.clone())
            }
            Command::ChangeRetention(retention) => Self::Retention(*retention),
        }
    }
}

async fn answer(
    state: &AppState,
    about: About,
    version: StreamVersion,
    changes: Vec<FieldChangeBody>,
    dry_run: bool,
) -> Answer<Changed> {
    Ok(Changed(SettingsChangedBody {
        id: StreamId::SETTINGS.id,
        stream: StreamId::SETTINGS,
        version,
        changes,
        effect: effect(state, about).await?,
        dry_run,
    }))
}

async fn effect(state: &AppState, about: About) -> Answer<String> {
    let runs: Vec<Arc<RunRow>> = match about {
        About::Retention(retention) => {
            let to = retention.unwrap_or(state.settings.configured.retention.value);
            let bundles = state.bundles.superseded((&to).into()).await?;
            let outputs = match to.output_days {
                Some(days) => crate::link::ended_before(state.pool(), days).await?,
                None => vec![],
            };
            return Ok(words::retention(bundles.len(), outputs.len()));
        }
        _ => state.views.in_flight().await?,
    };
    let all = InFlight::of(runs.iter().map(AsRef::as_ref));
    Ok(match about {
        About::AllowList => words::allow_list(all),
        About::Profile(name) => {
            let its = runs.iter().filter(|run| run.requested.profile == name);
            words::profile(InFlight::of(its.map(AsRef::as_ref)))
        }
        About::Limits | About::Retention(_) => words::limits(all),
    })
}
