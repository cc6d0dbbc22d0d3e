use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    github::{Branch, Repository},
    ids::{BundleDigest, Generation, InputId, MessageId, SessionId, StreamVersion, UserId},
    text::TextRef,
};

/// What happened to a run. Wire names are permanent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// Somebody asked for it. Its first prompt follows at once as `run.prompt.submitted`.
    #[serde(rename = "run.requested")]
    Requested(Box<Requested>),
    /// It waits, for this reason. Appended again only when the reason changes.
    #[serde(rename = "run.queued")]
    Queued {
        /// Why.
        reason: QueueReason,
    },
    /// There is room: the adapter may start its first workload.
    #[serde(rename = "run.admitted")]
    Admitted {
        /// The generation to start.
        generation: Generation,
    },
    /// The adapter made the workload.
    #[serde(rename = "run.workload.created")]
    WorkloadCreated {
        /// Of which generation.
        generation: Generation,
        /// What holds it in, and what could not be enforced.
        enforcement: Enforcement,
    },
    /// The workload cannot begin yet, and this is why; appended again only when the reason changes.
    #[serde(rename = "run.workload.waiting")]
    WorkloadWaiting {
        /// Of which generation.
        generation: Generation,
        /// What the adapter sees, in words.
        reason: String,
    },
    /// What the place where the workload is says of it: where it was put, what its image took, how it ended.
    #[serde(rename = "run.workload.observed")]
    WorkloadObserved {
        /// Of which generation.
        generation: Generation,
        /// When in the workload's life.
        stage: WorkloadStage,
        /// What was seen, a line each.
        text: TextRef,
        /// The images that its containers run, by the digests that the place reports; none where it reports none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<RanImage>,
    },
    /// The fence was proven from inside before any secret was in reach.
    #[serde(rename = "run.fence.verified")]
    FenceVerified {
        /// Of which generation.
        generation: Generation,
        /// What was tried.
        probes: Vec<Probe>,
    },
    /// The repository is in place: restored from a bundle, or cloned.
    #[serde(rename = "run.restored")]
    Restored {
        /// Of which generation.
        generation: Generation,
        /// The bundle; absent for a fresh clone.
        from: Option<BundleDigest>,
        /// The repository's HEAD commit.
        git_head: String,
    },
    /// The agent answers.
    #[serde(rename = "run.ready")]
    Ready {
        /// Of which generation.
        generation: Generation,
        /// The agent's own id of its session.
        agent_session: String,
        /// The agent's version.
        agent_version: String,
    },
    /// Somebody told the agent something.
    #[serde(rename = "run.prompt.submitted")]
    PromptSubmitted {
        /// The agent's id of the message.
        message: MessageId,
        /// The prompt.
        text: TextRef,
    },
    /// The agent took up a prompt and works on it.
    #[serde(rename = "run.turn.started")]
    TurnStarted {
        /// The newest message it works on.
        message: MessageId,
    },
    /// The turn is over; the run stays until then for a further prompt.
    #[serde(rename = "run.idle")]
    Idle {
        /// Until when.
        until: DateTime<Utc>,
    },
    /// A person stopped the turn; the run stays.
    #[serde(rename = "run.interrupted")]
    Interrupted {},
    /// The agent asks for a permission or an answer.
    #[serde(rename = "run.input.required")]
    InputRequired {
        /// The agent's id of what it asks.
        input: InputId,
        /// What kind of answer it waits for.
        kind: InputKind,
        /// What it asks, as JSON in the agent's own form, bounded.
        detail: TextRef,
        /// When it is refused if nobody answers.
        until: DateTime<Utc>,
    },
    /// Somebody answered, or time ran out.
    #[serde(rename = "run.input.given")]
    InputGiven {
        /// What is answered.
        input: InputId,
        /// The answer.
        answer: Answer,
    },
    /// Somebody decided what it may reach from now on: at its start if that was more than GitHub, or later.
    #[serde(rename = "run.egress.mode.changed")]
    EgressModeChanged {
        /// What it may reach.
        mode: EgressMode,
        /// Why: always there for more than GitHub.
        reason: Option<TextRef>,
    },
    /// The run is to publish and end.
    #[serde(rename = "run.finish.requested")]
    FinishRequested {
        /// By what.
        cause: FinishCause,
    },
    /// The run is to end without publishing.
    #[serde(rename = "run.cancel.requested")]
    CancelRequested {},
    /// The agent could not go on; the run snapshots and fails.
    #[serde(rename = "run.turn.failed")]
    TurnFailed {
        /// Why, as a kind.
        failure: Failure,
        /// In the agent's or the model's own words, where there are any.
        detail: Option<TextRef>,
    },
    /// The run's branch is on the forge at this commit.
    #[serde(rename = "run.branch.pushed")]
    BranchPushed {
        /// The commit, lower-case hexadecimal.
        head: String,
        /// How many commits it is ahead of the base.
        commits: u32,
    },
    /// There is nothing to publish: the branch equals its base.
    #[serde(rename = "run.publish.skipped")]
    PublishSkipped {},
    /// A step of publishing failed.
    #[serde(rename = "run.publish.failed")]
    PublishFailed {
        /// Which step.
        stage: PublishStage,
        /// In the forge's or git's own words.
        detail: TextRef,
        /// Which try, from 1.
        attempt: u32,
        /// When the next try is; absent where there will be none.
        retry_at: Option<DateTime<Utc>>,
    },
    /// After the run ended unpublished, somebody asked for the pull request again.
    #[serde(rename = "run.publish.requested")]
    PublishRequested {},
    /// The pull request is there, read back from the forge.
    #[serde(rename = "run.pull_request.opened")]
    PullRequestOpened {
        /// Its number.
        number: u64,
        /// Its page.
        url: String,
        /// The commit at its head.
        head: String,
        /// Whether this run made it; otherwise it was there already.
        created: bool,
    },
    /// What the agent used so far, over the whole run.
    #[serde(rename = "run.usage.reported")]
    UsageReported {
        /// The totals.
        usage: Usage,
    },
    /// A snapshot of the run was stored as a bundle of its session.
    #[serde(rename = "run.snapshot.stored")]
    SnapshotStored {
        /// Of which generation.
        generation: Generation,
        /// The bundle.
        digest: BundleDigest,
        /// Why it was taken.
        cause: SnapshotCause,
    },
    /// The workload is gone without having ended the run.
    #[serde(rename = "run.lost")]
    Lost {
        /// Of which generation.
        generation: Generation,
        /// What was seen, in one line of the adapter's or sidecar's making.
        reason: String,
    },
    /// A lost run starts again from its last snapshot.
    #[serde(rename = "run.retried")]
    Retried {
        /// The generation to start.
        generation: Generation,
    },
    /// It ended well.
    #[serde(rename = "run.succeeded")]
    Succeeded {
        /// Whether it changed anything.
        changes: bool,
    },
    /// It ended badly.
    #[serde(rename = "run.failed")]
    Failed {
        /// Why, as a kind.
        failure: Failure,
        /// In the words of whoever failed it, where there are any.
        detail: Option<TextRef>,
    },
    /// It was cancelled; the session can go on from its last snapshot.
    #[serde(rename = "run.cancelled")]
    Cancelled {},
    /// What the adapter made is gone again.
    #[serde(rename = "run.workload.removed")]
    WorkloadRemoved {
        /// Of which generation.
        generation: Generation,
        /// SHA-256 of the stored output, lower-case hexadecimal, for the last generation.
        output_digest: Option<String>,
    },
}

/// What a run may reach beside the model. Names are permanent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EgressMode {
    /// Its repository on GitHub, and the hosts that an administrator listed.
    #[default]
    Github,
    /// Any public host beside that, through the gateway; GitHub as before.
    Full,
}

impl EgressMode {
    /// The permanent name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Full => "full",
        }
    }

    /// The mode of that name; none other than the narrow one where there is no such name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name == Self::Full.as_str() { Self::Full } else { Self::Github }
    }
}

/// The body of `run.requested`: all that the run needs to know, fixed at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// The session it works in.
    pub session: SessionId,
    /// Who asked.
    pub owner: UserId,
    /// The repository.
    pub repo: Repository,
    /// The branch that the pull request is to be merged into.
    pub base: Branch,
    /// The working branch.
    pub branch: Branch,
    /// The issue it answers, if any.
    pub issue: Option<u64>,
    /// The harness profile's name.
    pub profile: String,
    /// The egress mode's name.
    pub egress: String,
    /// Whether a fence or limit that cannot be enforced is acceptable.
    pub accept_unenforced: bool,
    /// The bundle to begin from, if the session has one.
    pub from: Option<BundleDigest>,
    /// Whether the pull request is to be a draft.
    pub draft: bool,
    /// How many seconds it may take from its admission; 60 to 86,400.
    pub deadline_seconds: u32,
    /// How many seconds it stays idle after an unattended turn; 0 to 86,400.
    pub linger_seconds: u32,
    /// How many seconds it stays idle after a person's further prompt; 0 to 86,400.
    pub attended_linger_seconds: u32,
    /// How many seconds a permission or question waits for its answer; 1 to 86,400.
    pub input_timeout_seconds: u32,
    /// How many seconds a sidecar may be without its link before it stops the agent.
    pub link_timeout_seconds: u32,
    /// The most memory its workload may use, in MiB.
    pub memory_mib: u32,
    /// The most disk its workload may use, in MiB.
    pub disk_mib: u32,
    /// How often a lost workload is started again; 0 to 10.
    pub max_retries: u32,
    /// What its profile gave beyond that. Not there in what was stored before profiles had it.
    #[serde(default, skip_serializing_if = "Harness::is_nothing")]
    pub harness: Harness,
}

/// What else a profile gives to a run, as it was when the run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Harness {
    /// The image of the agent's container; absent: the installation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The cluster's RuntimeClass; absent: the installation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class: Option<String>,
    /// The most processor time, in thousandths of a core; absent: two cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Plain variables of the agent's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What the agent may do without asking: OpenCode's own permission configuration; absent: what the
    /// configuration says of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<serde_json::Value>,
    /// The version of the settings that the profile was read at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<StreamVersion>,
}

impl Harness {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The most processor time, in thousandths of a core.
    #[must_use]
    pub fn cpu_millis(&self) -> u32 {
        self.cpu_millis.unwrap_or(2000)
    }
}

/// Why a run waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QueueReason {
    /// As many runs as the installation allows at once are active.
    RunsActive {
        /// How many are active.
        active: u32,
        /// How many may be.
        limit: u32,
    },
    /// As many runs of the same owner as allowed at once are active.
    OwnerRunsActive {
        /// How many are active.
        active: u32,
        /// How many may be.
        limit: u32,
    },
    /// The machine has too little free memory.
    Memory {
        /// What the run needs, in MiB.
        needed_mib: u64,
        /// What is free, in MiB.
        free_mib: u64,
    },
    /// The adapter cannot start runs now.
    Adapter {
        /// What is wrong and what to do, in one line of the adapter's making.
        problem: String,
    },
}

/// What holds a workload in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enforcement {
    /// The mechanism, such as `bubblewrap` or `pod`.
    pub sandbox: String,
    /// The limits in force, such as `memory`, `pids`, `cpu`, `disk`.
    pub limits: Vec<String>,
    /// The limits that could not be enforced here.
    pub missing: Vec<String>,
}

/// One probe of the fence, from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// What was dialled or looked up.
    pub target: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The network refused it.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// It went through: the fence is open.
    Reached,
    /// There is nothing here to prove it against.
    NotProvable,
}

/// What kind of answer the agent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// May it do this?
    Permission,
    /// Which of these?
    Question,
}

/// An answer to what the agent asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// This once.
    Once,
    /// This and the like of it, for the rest of the agent's session.
    Always,
    /// No; with words for the agent, if any.
    Reject {
        /// The words.
        message: Option<TextRef>,
    },
    /// The answers to a question: a JSON list of lists of strings.
    Answers {
        /// The JSON.
        answers: TextRef,
    },
    /// Nobody answered in time: refused.
    TimedOut,
    /// The agent no longer asks.
    Withdrawn,
}

/// Why a run finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishCause {
    /// Somebody asked for it.
    Asked,
    /// Nothing came while it stayed idle.
    Idle,
}

/// A step of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishStage {
    /// Pushing the branch.
    Push,
    /// Opening the pull request.
    PullRequest,
}

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotCause {
    /// A turn ended, or what came of it is about to be pushed.
    Turn,
    /// Something changed and a minute was over.
    Interval,
    /// The workload was told to stop.
    Stop,
    /// The run ends.
    Final,
}

/// When in a workload's life it was looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadStage {
    /// All of it runs.
    Began,
    /// It is over, or about to be.
    Ended,
}

/// An image that a container of a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RanImage {
    /// The container.
    pub container: String,
    /// What it was asked for by.
    pub image: String,
    /// What it is: `sha256:` and hexadecimal digits.
    pub digest: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// Why a run failed, as a kind that programs can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The agent ended its turn with an error.
    Agent,
    /// The model did not answer, after the agent's own retries.
    Model,
    /// The deadline passed.
    Deadline,
    /// The link was gone for longer than allowed.
    LinkLost,
    /// The workload was lost more often than it may be retried.
    Lost,
    /// The sandbox could not be made, or the fence not be proven.
    Sandbox,
    /// The workload took more than it may.
    Limit,
    /// The repository is not there or the credential may not read it.
    Repository,
    /// The bundle could not be restored.
    Restore,
    /// The working branch exists on the forge and is not the session's own.
    BranchExists,
    /// The branch could not be pushed.
    Push,
    /// The branch is pushed, the pull request could not be opened: `paddock run publish` tries again.
    PullRequest,
}

/// What an agent used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens read, without those from a cache.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens of reasoning.
    pub reasoning_tokens: u64,
    /// Tokens read from a cache.
    pub cached_tokens: u64,
    /// What it cost by the model's price list, in millionths of a US dollar.
    pub cost_micro_usd: u64,
}
