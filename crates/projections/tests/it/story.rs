//! Histories that the domain itself decided: sessions with their runs, step by step, from small numbers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::Event,
    ids::{BundleDigest, Generation, InputId, MessageId, RunId, SessionId, TextId, UserId},
    run::{
        self, Answer, Command, EgressMode, Enforcement, Failure, FinishCause, InputKind, Probe,
        PublishStage, QueueReason, Requested, Run, SnapshotCause, Stage, Usage, Verdict,
    },
    session::{self, BundleInfo, PullState},
    stream::StreamId,
    text::TextRef,
};
use uuid::Uuid;

/// Some sessions and runs, and all that happened to them.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<(StreamId, Event)>,
    pub(crate) sessions: BTreeMap<SessionId, session::State>,
    pub(crate) runs: BTreeMap<RunId, run::State>,
    ids: u128,
}

/// When the event at a place of the story happened.
pub(crate) fn time(place: usize) -> DateTime<Utc> {
    let start = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
    start + TimeDelta::seconds(i64::try_from(place).expect("a short story"))
}

/// Steps that look random and are the same every time.
pub(crate) fn walk() -> impl Iterator<Item = (u8, u8, u8)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [which, what, how, ..] = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        (which, what, how)
    })
}

/// Who caused everything.
pub(crate) const OWNER: UserId = UserId(Uuid::from_u128(7));

impl Story {
    /// Goes on by one command, which the numbers choose. Many are refused, and then nothing happens.
    pub(crate) fn step(&mut self, (which, what, how): (u8, u8, u8)) {
        let known: Vec<SessionId> = self.sessions.keys().copied().collect();
        let recent = &known[known.len().saturating_sub(8)..];
        match recent.get(usize::from(which) % (recent.len() + 1)) {
            None => self.begin(what, &known),
            Some(session) => match self.active_or_last(*session) {
                Some(run) if what % 4 != 0 => self.on_run(*session, run, what / 4, how),
                _ => self.on_session(*session, what / 4, how),
            },
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids << 64)
    }

    fn text(&mut self) -> TextRef {
        TextRef { reference: TextId(self.id()), commit: "0".repeat(64) }
    }

    fn now(&self) -> DateTime<Utc> {
        time(self.events.len())
    }

    fn active_or_last(&self, session: SessionId) -> Option<RunId> {
        let of_session = |state: &run::State| match state {
            run::State::Known(run) => run.requested.session == session,
            run::State::New => false,
        };
        self.runs.iter().filter(|(_, state)| of_session(state)).map(|(id, _)| *id).next_back()
    }

    fn begin(&mut self, what: u8, known: &[SessionId]) {
        let id = SessionId(self.id());
        let created = session::Created {
            repo: "acme/widget".parse().expect("a repository"),
            base: "main".parse().expect("a branch"),
            branch: format!("paddock/{id}").parse().expect("a branch"),
            title: self.text(),
            issue: what.is_multiple_of(2).then_some(7),
            owner: OWNER,
        };
        let head = known.iter().find_map(|id| match &self.sessions[id] {
            session::State::Known(session) => Some((*id, session.head.clone()?)),
            session::State::New | session::State::Deleted => None,
        });
        let command = match head {
            Some((from, bundle)) if what.is_multiple_of(3) => {
                session::Command::Fork { created, from, bundle }
            }
            _ => session::Command::Create(created),
        };
        self.session(id, command);
    }

    fn on_session(&mut self, id: SessionId, what: u8, how: u8) {
        let digest = BundleDigest(format!("{:064x}", how % 8));
        let command = match what % 8 {
            0 => session::Command::Rename { title: self.text() },
            1 => session::Command::Archive,
            2 => session::Command::Restore,
            3 if how.is_multiple_of(8) => session::Command::Delete,
            4 => session::Command::ExpireBundle { digest },
            5 if how.is_multiple_of(3) => self.observed(id, how),
            _ => return self.start(id, how),
        };
        self.session(id, command);
    }

    /// A look at the newest pull request of a session, or at one that is not its own.
    fn observed(&self, id: SessionId, how: u8) -> session::Command {
        let run = self.active_or_last(id).and_then(|run| match &self.runs[&run] {
            run::State::Known(run) => run.pull_request,
            run::State::New => None,
        });
        let states = [PullState::Open, PullState::Draft, PullState::Merged, PullState::Closed];
        session::Command::ObservePullRequest {
            number: run.unwrap_or(7),
            was: PullState::Open,
            state: states[usize::from(how / 3 % 4)],
        }
    }

    fn start(&mut self, id: SessionId, how: u8) {
        let run = RunId(self.id());
        let session::State::Known(session) = &self.sessions[&id] else { return };
        let requested = Requested {
            session: id,
            owner: OWNER,
            repo: session.created.repo.clone(),
            base: session.created.base.clone(),
            branch: session.created.branch.clone(),
            issue: session.created.issue,
            profile: "default".to_owned(),
            egress: "github".to_owned(),
            accept_unenforced: how.is_multiple_of(5),
            from: session.head.clone().map(|head| head.digest),
            draft: false,
            deadline_seconds: 3600,
            linger_seconds: u32::from(how % 2) * 60,
            attended_linger_seconds: 600,
            input_timeout_seconds: 60,
            link_timeout_seconds: 1800,
            memory_mib: 2048,
            disk_mib: 2048,
            max_retries: 1,
            harness: domain::run::Harness::default(),
            credential: None,
        };
        if self.session(id, session::Command::StartRun { run }) {
            let (message, prompt) = (message(0), self.text());
            let requested = Box::new(requested);
            self.runs.insert(run, run::State::New);
            self.run(run, Command::Request { requested, message, prompt, egress_reason: None });
        }
    }

    fn on_run(&mut self, session: SessionId, id: RunId, what: u8, how: u8) {
        let run::State::Known(run) = self.runs[&id].clone() else { return };
        let command =
            if what.is_multiple_of(2) { self.usual(&run, how) } else { self.any(&run, what, how) };
        let command = match command {
            Command::ReportSnapshot { generation, digest, .. }
                if run.generation == Some(generation) =>
            {
                let bundle = BundleInfo { digest, parent: None, size: 9, git_head: "a".repeat(40) };
                let store = session::Command::StoreBundle { run: id, generation, bundle };
                self.session(session, store);
                command_again(&run, how)
            }
            command => command,
        };
        self.run(id, command);
        if let run::State::Known(run) = &self.runs[&id]
            && let Stage::Ended(outcome) = run.stage
        {
            self.session(session, session::Command::EndRun { run: id, outcome });
        }
    }

    /// What takes a run towards its end.
    fn usual(&mut self, run: &Run, how: u8) -> Command {
        let generation = run.generation.unwrap_or(Generation::FIRST);
        match &run.stage {
            Stage::Queued { .. } => Command::Admit,
            Stage::Provisioning | Stage::Restoring => match how % 5 {
                0 => made(generation, how),
                1 => probed(generation, Verdict::Refused),
                2 => restored(generation, how),
                _ => ready(generation),
            },
            Stage::Running => Command::ReportTurnEnded {
                generation,
                message: run.last_prompt.clone(),
                now: self.now(),
            },
            Stage::AwaitingInput { inputs } => {
                let (input, (kind, _)) = inputs.iter().next().expect("it waits for something");
                let answer = match kind {
                    InputKind::Permission => Answer::Once,
                    InputKind::Question => Answer::Answers { answers: self.text() },
                };
                Command::GiveInput { input: input.clone(), answer }
            }
            Stage::Idle { .. } => Command::Finish { cause: FinishCause::Idle },
            Stage::Publishing if run.pushed.is_none() => {
                Command::ReportPushed { generation, head: format!("{how:040x}"), commits: 2 }
            }
            Stage::Publishing => pull_request(how),
            Stage::Snapshotting { .. } => command_again(run, 0),
            Stage::Ended(_) => Command::ReportWorkloadRemoved { generation, output_digest: None },
        }
    }

    /// What may come at any time.
    fn any(&mut self, run: &Run, what: u8, how: u8) -> Command {
        let newest = run.generation.unwrap_or(Generation::FIRST);
        let generation = if how.is_multiple_of(9) { Generation(how.into()) } else { newest };
        let detail = self.text();
        let now = self.now();
        let input = InputId(format!("in_{}", how % 2));
        match what / 2 % 24 {
            0 => Command::Queue { reason: QueueReason::RunsActive { active: 1, limit: 1 } },
            1 => Command::Queue { reason: QueueReason::Memory { needed_mib: 2, free_mib: 1 } },
            2 => made(generation, how),
            3 => probed(generation, Verdict::Reached),
            4 => ready(generation),
            5 | 6 => Command::Prompt { message: message(how % 4), text: detail },
            7 => Command::ReportTurnStarted { generation, message: message(how % 4) },
            8 => Command::ReportTurnFailed {
                generation,
                failure: Failure::Model,
                detail: Some(detail),
            },
            9 => Command::Interrupt,
            10 | 11 => {
                let kind =
                    if how.is_multiple_of(2) { InputKind::Permission } else { InputKind::Question };
                Command::ReportInputRequired { generation, input, kind, detail, now }
            }
            12 => Command::ReportInputWithdrawn { generation, input },
            13 => Command::GiveInput { input, answer: Answer::Reject { message: Some(detail) } },
            14 => Command::Finish { cause: FinishCause::Asked },
            15 if how.is_multiple_of(3) => Command::Cancel,
            15 => {
                let full = how.is_multiple_of(2);
                let mode = if full { EgressMode::Full } else { EgressMode::Github };
                Command::ChangeEgress { mode, reason: full.then_some(detail) }
            }
            16 if how.is_multiple_of(3) => Command::Expire { failure: Failure::Deadline },
            17 => Command::ReportNothingToPublish { generation },
            18 => Command::ReportPublishFailed {
                stage: if how.is_multiple_of(4) {
                    PublishStage::Push
                } else {
                    PublishStage::PullRequest
                },
                detail,
                retry_at: (how % 4 > 1).then_some(now),
            },
            19 => Command::RequestPublish,
            20 => Command::ReportUsage {
                generation,
                usage: Usage { input_tokens: how.into(), ..Usage::default() },
            },
            21 => Command::ReportSnapshot {
                generation,
                digest: BundleDigest(format!("{:064x}", how % 32)),
                cause: SnapshotCause::Turn,
            },
            22 => Command::ReportLost { generation, reason: "the process is gone".to_owned() },
            23 => Command::ReportWorkloadRemoved { generation, output_digest: None },
            _ => Command::AbandonSnapshot,
        }
    }

    /// Whether anything came of it.
    fn session(&mut self, id: SessionId, command: session::Command) -> bool {
        let state = self.sessions.entry(id).or_default();
        let events = session::decide(state, command).unwrap_or_default();
        for event in &events {
            *state = session::evolve(std::mem::take(state), event);
            self.events.push((id.into(), event.clone().into()));
        }
        !events.is_empty()
    }

    fn run(&mut self, id: RunId, command: Command) {
        let state = self.runs.entry(id).or_default();
        for event in run::decide(state, command).unwrap_or_default() {
            *state = run::evolve(std::mem::take(state), &event);
            self.events.push((id.into(), event.into()));
        }
    }
}

fn message(number: u8) -> MessageId {
    MessageId(format!("msg_{number}"))
}

fn made(generation: Generation, how: u8) -> Command {
    let missing = if how.is_multiple_of(2) { vec![] } else { vec!["memory".to_owned()] };
    let enforcement = Enforcement { sandbox: "bubblewrap".to_owned(), limits: vec![], missing };
    Command::ReportWorkloadCreated { generation, enforcement }
}

fn probed(generation: Generation, verdict: Verdict) -> Command {
    let probes = vec![Probe { target: "canary".to_owned(), verdict }];
    Command::ReportFence { generation, probes }
}

fn restored(generation: Generation, how: u8) -> Command {
    let from = how.is_multiple_of(2).then(|| BundleDigest(format!("{how:064x}")));
    Command::ReportRestored { generation, from, git_head: "b".repeat(40) }
}

fn ready(generation: Generation) -> Command {
    let (agent_session, agent_version) = ("ses_1".to_owned(), "1.0".to_owned());
    Command::ReportReady { generation, agent_session, agent_version }
}

fn pull_request(how: u8) -> Command {
    let number = u64::from(how) + 1;
    let url = format!("https://forge.test/acme/widget/pull/{number}");
    Command::RecordPullRequest { number, url, head: "c".repeat(40), created: true }
}

/// The snapshot whose bundle its session has by now; the last one while the run ends.
fn command_again(run: &Run, how: u8) -> Command {
    let generation = run.generation.unwrap_or(Generation::FIRST);
    let ending = matches!(run.stage, Stage::Snapshotting { .. });
    let cause = if ending { SnapshotCause::Final } else { SnapshotCause::Interval };
    Command::ReportSnapshot {
        generation,
        digest: BundleDigest(format!("{:064x}", how % 32)),
        cause,
    }
}
