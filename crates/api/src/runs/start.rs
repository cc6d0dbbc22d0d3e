use axum::{extract::State, http::StatusCode};
use commands::Accepted;
use domain::{
    ids::{RunId, SessionId},
    run::{self, Command, EgressMode, Harness, Requested},
    session::{self, State as Session},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::egress::{egress_mode, egress_reason, may_widen};
use crate::{
    access::Allowance,
    answer::{CommandBody, Done},
    credentials::choose,
    problem::{Answer, Problem},
    request::{Asked, By, Id, text, within},
    state::AppState,
};

/// What a run is started with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// What the agent is to do; at most 1 MiB.
    pub(crate) prompt: String,
    /// The harness profile, `default` unless told otherwise.
    pub(crate) profile: Option<String>,
    /// What it may reach beside the model: `github`, its repository, unless told otherwise; or `full`, any
    /// public host through the gateway.
    pub(crate) egress: Option<String>,
    /// Why it is to reach more than GitHub, kept on the record; at most 1,000 characters.
    pub(crate) egress_reason: Option<String>,
    /// Whether the pull request is to be a draft.
    #[serde(default)]
    pub(crate) draft: bool,
    /// How many seconds it may take; 60 to 86,400.
    pub(crate) deadline_seconds: Option<u32>,
    /// How many seconds it stays for further prompts when its turn is over; 0 to 86,400.
    pub(crate) linger_seconds: Option<u32>,
    /// How many seconds a permission or question waits; 1 to 86,400.
    pub(crate) input_timeout_seconds: Option<u32>,
    /// The credential that its requests to the forge carry: an id, or `installation` for the installation's own. The
    /// only one that you own or were given, where there is one, unless told otherwise; else the installation's own.
    pub(crate) credential: Option<String>,
}

/// Starts a run of a session.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/runs", operation_id = "startRun", tag = "runs",
    params(("id" = Uuid, Path)), request_body = NewRun,
    responses((status = 201, description = "It waits for room", body = CommandBody)))]
pub(crate) async fn start_run(
    State(state): State<AppState>,
    Id(session): Id<SessionId>,
    asked: Asked<NewRun>,
) -> Answer<Done> {
    let allowance = Allowance::of(&state, &asked.caller);
    Ok(Done::created(start(&state, &asked.by, &allowance, session, asked.body).await?))
}

/// Starts a run of a session, whoever asks, and however.
pub(crate) async fn start(
    state: &AppState,
    by: &By,
    allowance: &Allowance,
    session: SessionId,
    new: NewRun,
) -> Answer<Accepted> {
    const NAME: &str = "run.start";
    if let Some(first) = by.answered(state, NAME, Some(session.into())).await? {
        return Ok(first);
    }
    let requested = requested(state, by, allowance, session, &new).await;
    let reason = egress_reason(new.egress_reason)?;
    let prompt = text("prompt", new.prompt)?;
    let requested = by.audited(state, NAME, Some(session.into()), requested).await?;
    let context = state.commands.context();
    let sealed = context.seal(prompt);
    let reason = reason.map(|reason| context.seal(reason));
    let request = Command::Request {
        requested: Box::new(requested),
        message: context.message_id(),
        prompt: sealed.reference.clone(),
        egress_reason: reason.as_ref().map(|reason| reason.reference.clone()),
    };
    let run = RunId(context.id());
    let caused = by.caused(reason.into_iter().chain([sealed]).collect());
    Ok(state.commands.start_run(session, run, request, caused).await?)
}

async fn requested(
    state: &AppState,
    by: &By,
    allowance: &Allowance,
    session: SessionId,
    new: &NewRun,
) -> Answer<Requested> {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let profile_name = new.profile.clone().unwrap_or_else(|| "default".to_owned());
    let effective = state.installation().now().await?;
    let profile = effective.profile(&profile_name).ok_or_else(|| {
        let words = "there is no such profile";
        Problem::refused(unprocessable, "profile-not-found", "profile", words)
    })?;
    if let Some(fault) = state.settings.configured.place.faults(&profile).first() {
        let words = format!("{profile_name} has {}: {}", fault.field, fault.words);
        return Err(Problem::refused(unprocessable, "profile-not-here", "profile", words));
    }
    let egress = new.egress.clone().unwrap_or_else(|| profile.egress.clone());
    let mode = egress_mode(state, &egress)?;
    if mode == EgressMode::Github && new.egress_reason.is_some() {
        let words = "a reason is given for more than github only";
        return Err(Problem::refused(unprocessable, "egress-reason", "egress_reason", words));
    }
    if mode == EgressMode::Full {
        if new.egress_reason.is_none() {
            return Err(Problem::field("egress_reason", run::Rejection::EgressReason));
        }
        may_widen(state, allowance, session).await?;
    }
    let deadline = new.deadline_seconds.unwrap_or(profile.deadline_seconds);
    let linger = new.linger_seconds.unwrap_or(profile.linger_seconds);
    let input_timeout = new.input_timeout_seconds.unwrap_or(profile.input_timeout_seconds);
    let (Session::Known(known), _) = state.commands.load_session(session).await? else {
        let code = session::Rejection::NotFound.code();
        return Err(Problem::refused(
            StatusCode::NOT_FOUND,
            code,
            "id",
            "there is no such session",
        ));
    };
    let credential = choose(state, allowance, new.credential.as_deref()).await?;
    Ok(Requested {
        session,
        owner: by.owner,
        repo: known.created.repo,
        base: known.created.base,
        branch: known.created.branch,
        issue: known.created.issue,
        profile: profile_name,
        egress,
        accept_unenforced: profile.unenforced,
        from: known.head.map(|head| head.digest),
        draft: new.draft,
        deadline_seconds: within("deadline_seconds", deadline, 60..=86_400)?,
        linger_seconds: within("linger_seconds", linger, 0..=86_400)?,
        attended_linger_seconds: profile.attended_linger_seconds.max(linger),
        input_timeout_seconds: within("input_timeout_seconds", input_timeout, 1..=86_400)?,
        link_timeout_seconds: profile.link_timeout_seconds,
        memory_mib: profile.memory_mib,
        disk_mib: profile.disk_mib,
        max_retries: profile.max_retries,
        harness: Harness {
            image: profile.image,
            runtime_class: profile.runtime_class,
            cpu_millis: Some(profile.cpu_millis),
            env: profile.env,
            permission: Some(profile.permission),
            settings: Some(effective.version()),
        },
        credential,
    })
}
