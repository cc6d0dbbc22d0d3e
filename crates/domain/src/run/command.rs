use chrono::{DateTime, Utc};

use crate::{
    ids::{BundleDigest, Generation, InputId, MessageId},
    run::{
        Answer, EgressMode, Enforcement, Failure, FinishCause, InputKind, Probe, PublishStage,
        QueueReason, RanImage, Requested, SnapshotCause, Usage, WorkloadStage,
    },
    text::TextRef,
};

/// What can be asked of a run, or reported about it. Reports of a workload carry its generation: those
/// of an older one are refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask for it, with its first prompt.
    Request {
        /// What it needs to know.
        requested: Box<Requested>,
        /// The agent's id of the first prompt.
        message: MessageId,
        /// The first prompt.
        prompt: TextRef,
        /// Why it is to reach more than GitHub, where it is.
        egress_reason: Option<TextRef>,
    },
    /// Let it reach more, or less, from now on.
    ChangeEgress {
        /// What it may reach.
        mode: EgressMode,
        /// Why: needed for more than GitHub.
        reason: Option<TextRef>,
    },
    /// Say why it waits.
    Queue {
        /// Why.
        reason: QueueReason,
    },
    /// Let it start.
    Admit,
    /// The workload is made.
    ReportWorkloadCreated {
        /// Of which generation.
        generation: Generation,
        /// What holds it in.
        enforcement: Enforcement,
    },
    /// The workload cannot begin yet.
    ReportWaiting {
        /// Of which generation.
        generation: Generation,
        /// What is seen, in words.
        reason: String,
    },
    /// The workload was looked at. Settled where that was said before.
    ReportObserved {
        /// Of which generation.
        generation: Generation,
        /// When in its life.
        stage: WorkloadStage,
        /// What was seen.
        text: TextRef,
        /// The images that its containers run.
        images: Vec<RanImage>,
    },
    /// The fence was proven, or found open.
    ReportFence {
        /// Of which generation.
        generation: Generation,
        /// What was tried.
        probes: Vec<Probe>,
    },
    /// The repository is in place.
    ReportRestored {
        /// Of which generation.
        generation: Generation,
        /// The bundle; absent for a fresh clone.
        from: Option<BundleDigest>,
        /// The repository's HEAD commit.
        git_head: String,
    },
    /// The agent answers.
    ReportReady {
        /// Of which generation.
        generation: Generation,
        /// The agent's own id of its session.
        agent_session: String,
        /// The agent's version.
        agent_version: String,
    },
    /// Tell the agent something more.
    Prompt {
        /// The agent's id of the message.
        message: MessageId,
        /// The prompt.
        text: TextRef,
    },
    /// The agent works on a prompt.
    ReportTurnStarted {
        /// Of which generation.
        generation: Generation,
        /// The newest message it works on.
        message: MessageId,
    },
    /// The agent's turn is over, and no prompt waits.
    ReportTurnEnded {
        /// Of which generation.
        generation: Generation,
        /// The newest message that it answered. A report that does not know of a newer prompt is late
        /// and changes nothing.
        message: MessageId,
        /// When the report arrived.
        now: DateTime<Utc>,
    },
    /// The agent's turn ended in an error.
    ReportTurnFailed {
        /// Of which generation.
        generation: Generation,
        /// Why, as a kind.
        failure: Failure,
        /// In whose words.
        detail: Option<TextRef>,
    },
    /// Stop the turn, keep the run.
    Interrupt,
    /// The agent asks something.
    ReportInputRequired {
        /// Of which generation.
        generation: Generation,
        /// The agent's id of what it asks.
        input: InputId,
        /// What kind of answer it waits for.
        kind: InputKind,
        /// What it asks.
        detail: TextRef,
        /// When the report arrived.
        now: DateTime<Utc>,
    },
    /// The agent no longer asks.
    ReportInputWithdrawn {
        /// Of which generation.
        generation: Generation,
        /// The agent's id of what it asked.
        input: InputId,
    },
    /// Answer.
    GiveInput {
        /// What is answered.
        input: InputId,
        /// The answer.
        answer: Answer,
    },
    /// Publish and end.
    Finish {
        /// By what.
        cause: FinishCause,
    },
    /// End without publishing.
    Cancel,
    /// The deadline or another limit of the control plane passed: snapshot and fail.
    Expire {
        /// Which limit.
        failure: Failure,
    },
    /// The branch is pushed.
    ReportPushed {
        /// Of which generation.
        generation: Generation,
        /// The commit.
        head: String,
        /// How many commits it is ahead of the base.
        commits: u32,
    },
    /// There is nothing to publish.
    ReportNothingToPublish {
        /// Of which generation.
        generation: Generation,
    },
    /// A step of publishing failed.
    ReportPublishFailed {
        /// Which step.
        stage: PublishStage,
        /// In whose words.
        detail: TextRef,
        /// When the next try is; absent where there will be none.
        retry_at: Option<DateTime<Utc>>,
    },
    /// Try the pull request again, after the run ended without one.
    RequestPublish,
    /// The pull request is there.
    RecordPullRequest {
        /// Its number.
        number: u64,
        /// Its page.
        url: String,
        /// The commit at its head.
        head: String,
        /// Whether this run made it.
        created: bool,
    },
    /// What the agent used so far.
    ReportUsage {
        /// Of which generation.
        generation: Generation,
        /// The totals.
        usage: Usage,
    },
    /// A snapshot was stored.
    ReportSnapshot {
        /// Of which generation.
        generation: Generation,
        /// The bundle.
        digest: BundleDigest,
        /// Why it was taken.
        cause: SnapshotCause,
    },
    /// The last snapshot could not be taken, or not in time: end without it.
    AbandonSnapshot,
    /// The workload is gone.
    ReportLost {
        /// Of which generation.
        generation: Generation,
        /// What was seen.
        reason: String,
    },
    /// The workload cannot be made, and trying again will not help.
    ReportRefused {
        /// Of which generation.
        generation: Generation,
        /// Why, as a kind.
        failure: Failure,
        /// In whose words.
        detail: Option<TextRef>,
    },
    /// What the adapter made is gone again.
    ReportWorkloadRemoved {
        /// Of which generation.
        generation: Generation,
        /// SHA-256 of the stored output, for the last generation.
        output_digest: Option<String>,
    },
}
