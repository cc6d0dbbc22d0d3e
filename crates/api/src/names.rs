//! The closed sets of words that the API answers with. Each is its own contract: a new variant of the
//! domain's does not compile until somebody names it here.

use domain::{run, session};
use projections::model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident of $source:path { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($variant),+ }

        impl From<$source> for $name {
            fn from(value: $source) -> Self {
                type Source = $source;
                match value { $(Source::$variant => Self::$variant),+ }
            }
        }
    )+};
}

/// A closed set of words that stands for nothing of the domain's.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($variant),+ }
    )+};
}
pub(crate) use plain;

names! {
    /// Where a run is in its life.
    RunState of model::RunState {
        Queued, Provisioning, Restoring, Running, AwaitingInput, Idle, Publishing, Snapshotting, Succeeded,
        Failed, Cancelled,
    }
    /// How a run ended.
    RunOutcome of run::Outcome { Succeeded, Failed, Cancelled }
    /// Why a run failed.
    RunFailure of run::Failure {
        Agent, Model, Deadline, LinkLost, Lost, Sandbox, Limit, Repository, Restore, BranchExists,
        Push, PullRequest,
    }
    /// What may be asked of a run.
    RunAction of model::RunAction {
        Prompt, Answer, Interrupt, Finish, Cancel, Publish, WidenEgress, NarrowEgress,
    }
    /// What may be asked of a session.
    SessionAction of model::SessionAction { Start, Rename, Archive, Restore, Delete, Fork, Share }
    /// What a session asks of people.
    SessionGroup of model::Group { NeedsYou, Working, Waiting, Done }
    /// How a pull request stands at the forge.
    PullRequestState of session::PullState { Open, Draft, Merged, Closed }
    /// What kind of answer the agent waits for.
    InputKind of run::InputKind { Permission, Question }
    /// What came of a probe of the fence.
    ProbeVerdict of run::Verdict { Refused, TimedOut, Reached, NotProvable }
    /// What a run may reach beside the model.
    EgressMode of run::EgressMode { Github, Full }
    /// By which way something left a run, or tried to.
    EgressKind of crate::gateway::Kind { Connect, Http, Model, Git }
    /// What a gateway decided.
    EgressVerdict of crate::gateway::Verdict { Allowed, Refused }
}

impl From<SessionGroup> for model::Group {
    fn from(group: SessionGroup) -> Self {
        match group {
            SessionGroup::NeedsYou => Self::NeedsYou,
            SessionGroup::Working => Self::Working,
            SessionGroup::Waiting => Self::Waiting,
            SessionGroup::Done => Self::Done,
        }
    }
}
