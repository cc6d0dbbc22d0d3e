//! What a command comes to: which streams it loads, and what it would append to each.

use domain::{
    binding,
    event::Event,
    ids::{BindingId, EventId, Generation, RunId, SessionId},
    run, session, settings,
    stream::StreamId,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    CommandError,
    handler::recent::{Known, Recent, Remembered},
    store::{Append, LoadedVersion, load::load_on},
};

/// One command, with the streams it is about.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Session {
        id: SessionId,
        command: session::Command,
    },
    Run {
        id: RunId,
        command: run::Command,
    },
    StartRun {
        session: SessionId,
        run: RunId,
        request: run::Command,
    },
    Settings {
        command: settings::Command,
    },
    Binding {
        id: BindingId,
        command: binding::Command,
    },
    StoreSnapshot {
        run: RunId,
        generation: Generation,
        bundle: session::BundleInfo,
        cause: run::SnapshotCause,
    },
}

/// What is to be appended. The answer is about the stream of the first.
pub(super) struct Plan {
    pub(super) appends: Vec<Append>,
    /// Which of them a caller's `If-Match` is about.
    pub(super) if_match: usize,
    pub(super) decided: Result<(), CommandError>,
    /// The event that it follows, where it was decided on a state that was remembered, not loaded.
    pub(super) remembered: Option<EventId>,
    /// The state that it was decided on, where the command is about one stream.
    pub(super) known: Option<Known>,
}

impl Work {
    /// A run's command: a request is about the session too.
    pub(super) fn of_run(id: RunId, command: run::Command) -> Self {
        match command {
            run::Command::Request { ref requested, .. } => {
                Self::StartRun { session: requested.session, run: id, request: command }
            }
            command => Self::Run { id, command },
        }
    }

    /// The stream that the answer is about.
    pub(super) fn stream(&self) -> StreamId {
        match self {
            Self::Session { id, .. } => (*id).into(),
            Self::Settings { .. } => StreamId::SETTINGS,
            Self::Binding { id, .. } => (*id).into(),
            Self::Run { id: run, .. }
            | Self::StartRun { run, .. }
            | Self::StoreSnapshot { run, .. } => (*run).into(),
        }
    }

    /// The id that the answer names.
    pub(super) fn target(&self) -> Uuid {
        self.stream().id
    }

    /// The stream and the stable name of the command, for the audit trail of refusals; no stream where
    /// the command was to make it.
    pub(super) fn audited(&self) -> (Option<StreamId>, &'static str) {
        match self {
            Self::Session { id, command } => {
                let name = session_command(command);
                let makes =
                    matches!(command, session::Command::Create(_) | session::Command::Fork { .. });
                (if makes { None } else { Some((*id).into()) }, name)
            }
            Self::Run { id, command } => (Some((*id).into()), run_command(command)),
            Self::Settings { command } => (Some(StreamId::SETTINGS), settings_command(command)),
            Self::Binding { id, command } => match command {
                binding::Command::Grant(_) => (None, "binding.grant"),
                binding::Command::Revoke { .. } => (Some((*id).into()), "binding.revoke"),
            },
            Self::StartRun { session, .. } => (Some((*session).into()), "run.start"),
            Self::StoreSnapshot { run, .. } => (Some((*run).into()), "run.report.snapshot"),
        }
    }

    /// What is remembered of the stream of a command that is about one only.
    pub(super) fn recall(&self, recent: &Recent) -> Option<Remembered> {
        match self {
            Self::Session { .. } | Self::Run { .. } => recent.take(self.stream()),
            Self::Settings { .. }
            | Self::Binding { .. }
            | Self::StartRun { .. }
            | Self::StoreSnapshot { .. } => None,
        }
    }

    /// Decides on a state that is remembered; nothing where that says too little.
    pub(super) fn plan_on(&self, remembered: Remembered) -> Option<Plan> {
        let Remembered { known, version, event } = remembered;
        let after = LoadedVersion::remembered(self.stream(), version);
        let plan = match (self, &known) {
            (Self::Session { command, .. }, Known::Session(state)) => {
                Plan::of(after, session::decide(state, command.clone()))
            }
            (Self::Run { command, .. }, Known::Run(state)) => {
                let decided = run::decide(state, command.clone());
                // The end of a run is about its session too.
                if decided.as_deref().ok().and_then(outcome).is_some() {
                    return None;
                }
                Plan::of(after, decided)
            }
            _ => return None,
        };
        Some(Plan { remembered: Some(event), known: Some(known), ..plan })
    }

    /// Loads, folds and decides.
    pub(super) async fn plan(&self, connection: &mut PgConnection) -> Result<Plan, CommandError> {
        match self {
            Self::Session { id, command } => {
                let loaded = load_on(&mut *connection, (*id).into()).await?;
                let state = fold_session(&loaded.events);
                let decided = session::decide(&state, command.clone());
                let known = Some(Known::Session(state));
                Ok(Plan { known, ..Plan::of(loaded.version, decided) })
            }
            Self::Run { id, command } => {
                let loaded = load_on(&mut *connection, (*id).into()).await?;
                let state = fold_run(&loaded.events);
                let decided = run::decide(&state, command.clone());
                let ended = decided.as_deref().ok().and_then(outcome);
                let mut plan = Plan::of(loaded.version, decided);
                if let (Some(outcome), run::State::Known(run)) = (ended, &state) {
                    let session = run.requested.session;
                    let command = session::Command::EndRun { run: *id, outcome };
                    plan.appends.push(also(connection, session, vec![command]).await?);
                }
                plan.known = Some(Known::Run(state));
                Ok(plan)
            }
            Self::Settings { command } => {
                let loaded = load_on(&mut *connection, StreamId::SETTINGS).await?;
                let state = fold_settings(&loaded.events);
                Ok(Plan::of(loaded.version, settings::decide(&state, command.clone())))
            }
            Self::Binding { id, command } => {
                let loaded = load_on(&mut *connection, (*id).into()).await?;
                let state = fold_binding(&loaded.events);
                Ok(Plan::of(loaded.version, binding::decide(&state, command.clone())))
            }
            Self::StartRun { session, run, request } => {
                let loaded = load_on(&mut *connection, (*run).into()).await?;
                let decided = run::decide(&fold_run(&loaded.events), request.clone());
                let mut plan = Plan::of(loaded.version, decided);
                plan.if_match = 1;
                let start = session::Command::StartRun { run: *run };
                let started = also_or(connection, *session, vec![start]).await?;
                plan.add(started);
                Ok(plan)
            }
            Self::StoreSnapshot { run, generation, bundle, cause } => {
                let loaded = load_on(&mut *connection, (*run).into()).await?;
                let state = fold_run(&loaded.events);
                let report = run::Command::ReportSnapshot {
                    generation: *generation,
                    digest: bundle.digest.clone(),
                    cause: *cause,
                };
                let decided = run::decide(&state, report);
                let ended = decided.as_deref().ok().and_then(outcome);
                let mut plan = Plan::of(loaded.version, decided);
                if let (Ok(()), run::State::Known(known)) = (&plan.decided, state) {
                    let mut commands = vec![session::Command::StoreBundle {
                        run: *run,
                        generation: *generation,
                        bundle: bundle.clone(),
                    }];
                    if let Some(outcome) = ended {
                        commands.push(session::Command::EndRun { run: *run, outcome });
                    }
                    let stored = also_or(connection, known.requested.session, commands).await?;
                    plan.add(stored);
                }
                Ok(plan)
            }
        }
    }
}

impl Plan {
    fn of<E, R>(after: LoadedVersion, decided: Result<Vec<E>, R>) -> Self
    where
        Event: From<E>,
        CommandError: From<R>,
    {
        let (events, decided) = match decided {
            Ok(events) => (events.into_iter().map(Event::from).collect(), Ok(())),
            Err(rejection) => (vec![], Err(rejection.into())),
        };
        Self {
            appends: vec![Append { after, events }],
            if_match: 0,
            decided,
            remembered: None,
            known: None,
        }
    }

    /// Whether it is one event of one stream: what a remembered state is good for, and what it can follow.
    pub(super) fn is_one_event(&self) -> bool {
        matches!(self.appends.as_slice(), [append] if append.events.len() == 1)
    }

    /// The stream's state once that one event is appended.
    pub(super) fn after(&mut self) -> Option<Known> {
        let event = self.appends.first()?.events.first()?;
        Some(self.known.take()?.after(event))
    }

    fn add(&mut self, (append, decided): (Append, Result<(), session::Rejection>)) {
        self.appends.push(append);
        // What the session says comes first: a run of a session that is not there is not there either.
        if let Err(rejection) = decided {
            self.decided = Err(rejection.into());
        }
    }
}

/// What the session does about its run, where that cannot be refused.
async fn also(
    connection: &mut PgConnection,
    session: SessionId,
    commands: Vec<session::Command>,
) -> Result<Append, CommandError> {
    let (append, decided) = also_or(connection, session, commands).await?;
    decided?;
    Ok(append)
}

async fn also_or(
    connection: &mut PgConnection,
    session: SessionId,
    commands: Vec<session::Command>,
) -> Result<(Append, Result<(), session::Rejection>), CommandError> {
    let loaded = load_on(connection, session.into()).await?;
    let mut state = fold_session(&loaded.events);
    let mut events = vec![];
    let mut decided = Ok(());
    for command in commands {
        match session::decide(&state, command) {
            Ok(more) => {
                state = more.iter().fold(state, session::evolve);
                events.extend(more.into_iter().map(Event::Session));
            }
            Err(rejection) => {
                decided = Err(rejection);
                break;
            }
        }
    }
    Ok((Append { after: loaded.version, events }, decided))
}

pub(crate) fn fold_session(events: &[Event]) -> session::State {
    session::fold(events.iter().filter_map(|event| match event {
        Event::Session(event) => Some(event),
        Event::Run(_)
        | Event::Actor(_)
        | Event::Log(_)
        | Event::Settings(_)
        | Event::Binding(_) => None,
    }))
}

pub(super) fn fold_run(events: &[Event]) -> run::State {
    run::fold(events.iter().filter_map(|event| match event {
        Event::Run(event) => Some(event),
        Event::Session(_)
        | Event::Actor(_)
        | Event::Log(_)
        | Event::Settings(_)
        | Event::Binding(_) => None,
    }))
}

pub(super) fn fold_settings(events: &[Event]) -> settings::State {
    settings::fold(events.iter().filter_map(|event| match event {
        Event::Settings(event) => Some(event),
        Event::Session(_) | Event::Run(_) | Event::Actor(_) | Event::Log(_) | Event::Binding(_) => {
            None
        }
    }))
}

pub(crate) fn fold_binding(events: &[Event]) -> binding::State {
    binding::fold(events.iter().filter_map(|event| match event {
        Event::Binding(event) => Some(event),
        Event::Session(_)
        | Event::Run(_)
        | Event::Actor(_)
        | Event::Log(_)
        | Event::Settings(_) => None,
    }))
}

/// How the run ends by these events, if it does.
fn outcome(events: &[run::Event]) -> Option<run::Outcome> {
    events.iter().find_map(|event| match event {
        run::Event::Succeeded { .. } => Some(run::Outcome::Succeeded),
        run::Event::Failed { .. } => Some(run::Outcome::Failed),
        run::Event::Cancelled {} => Some(run::Outcome::Cancelled),
        _ => None,
    })
}

const fn session_command(command: &session::Command) -> &'static str {
    match command {
        session::Command::Create(_) => "session.create",
        session::Command::Fork { .. } => "session.fork",
        session::Command::Rename { .. } => "session.rename",
        session::Command::Archive => "session.archive",
        session::Command::Restore => "session.restore",
        session::Command::Delete => "session.delete",
        session::Command::StartRun { .. } => "session.start-run",
        session::Command::EndRun { .. } => "session.end-run",
        session::Command::StoreBundle { .. } => "session.store-bundle",
        session::Command::ExpireBundle { .. } => "session.expire-bundle",
        session::Command::ObservePullRequest { .. } => "session.observe-pull-request",
    }
}

const fn settings_command(command: &settings::Command) -> &'static str {
    match command {
        settings::Command::ChangeLimits(_) => "settings.change-limits",
        settings::Command::ChangeAllowList(_) => "settings.change-allow-list",
        settings::Command::ChangeProfile { .. } => "settings.change-profile",
        settings::Command::RemoveProfile { .. } => "settings.remove-profile",
        settings::Command::ChangeRetention(_) => "settings.change-retention",
    }
}

const fn run_command(command: &run::Command) -> &'static str {
    match command {
        run::Command::Request { .. } => "run.start",
        run::Command::Queue { .. } => "run.queue",
        run::Command::Admit => "run.admit",
        run::Command::ReportWorkloadCreated { .. } => "run.report.workload-created",
        run::Command::ReportFence { .. } => "run.report.fence",
        run::Command::ReportRestored { .. } => "run.report.restored",
        run::Command::ReportReady { .. } => "run.report.ready",
        run::Command::Prompt { .. } => "run.prompt",
        run::Command::ReportTurnStarted { .. } => "run.report.turn-started",
        run::Command::ReportTurnEnded { .. } => "run.report.turn-ended",
        run::Command::ReportTurnFailed { .. } => "run.report.turn-failed",
        run::Command::ChangeEgress { .. } => "run.change-egress",
        run::Command::Interrupt => "run.interrupt",
        run::Command::ReportInputRequired { .. } => "run.report.input-required",
        run::Command::ReportInputWithdrawn { .. } => "run.report.input-withdrawn",
        run::Command::GiveInput { .. } => "run.give-input",
        run::Command::Finish { .. } => "run.finish",
        run::Command::Cancel => "run.cancel",
        run::Command::Expire { .. } => "run.expire",
        run::Command::ReportPushed { .. } => "run.report.pushed",
        run::Command::ReportNothingToPublish { .. } => "run.report.nothing-to-publish",
        run::Command::ReportPublishFailed { .. } => "run.report.publish-failed",
        run::Command::RequestPublish => "run.publish",
        run::Command::RecordPullRequest { .. } => "run.record-pull-request",
        run::Command::ReportUsage { .. } => "run.report.usage",
        run::Command::ReportSnapshot { .. } => "run.report.snapshot",
        run::Command::AbandonSnapshot => "run.abandon-snapshot",
        run::Command::ReportWaiting { .. } => "run.report.waiting",
        run::Command::ReportObserved { .. } => "run.report.observed",
        run::Command::ReportLost { .. } => "run.report.lost",
        run::Command::ReportRefused { .. } => "run.report.refused",
        run::Command::ReportWorkloadRemoved { .. } => "run.report.workload-removed",
    }
}
