use domain::{
    github::{Branch, Repository},
    ids::{BundleDigest, Generation, InputId, MessageId, RunId, SessionId, StreamVersion},
    run::{Failure, Hindrance, InputKind, Probe, SnapshotCause, Usage},
};
use serde::{Deserialize, Serialize};

use crate::{instruction::Instruction, output::Item};

/// From the sidecar to the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "up", rename_all = "snake_case")]
pub enum Up {
    /// The first message of a connection.
    Hello {
        /// The generation of the workload; the run comes from the identity.
        generation: Generation,
        /// Up to which version of the run's stream instructions have been carried out.
        done: StreamVersion,
    },
    /// Something to keep.
    Frame {
        /// Its number.
        seq: u64,
        /// What it is.
        body: Body,
    },
    /// The answer to a question.
    Answer {
        /// Which question.
        ask: u64,
        /// The answer, or why there is none, in one line.
        result: Result<Answered, String>,
    },
}

/// What a numbered frame holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "body", rename_all = "snake_case")]
pub enum Body {
    /// Output of the agent, to be stored in this order.
    Output {
        /// The items.
        items: Vec<Item>,
    },
    /// Something that happened: becomes a command of the run.
    Fact(Fact),
    /// The branch's diff against its base as it is now: kept for when the pod is gone, the newest counts.
    Changes(Answered),
}

/// What a sidecar reports. Free text in it is the agent's or the harness's: hostile, bounded by the
/// sidecar to 16 KiB, stored as text and never in an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The fence was probed from inside.
    Fence {
        /// What was tried.
        probes: Vec<Probe>,
    },
    /// The repository is in place.
    Restored {
        /// The bundle; absent for a fresh clone.
        from: Option<BundleDigest>,
        /// The HEAD commit.
        git_head: String,
    },
    /// The agent answers.
    Ready {
        /// The agent's own id of its session.
        agent_session: String,
        /// The agent's version.
        agent_version: String,
    },
    /// The agent works on a prompt.
    TurnStarted {
        /// The newest message it works on.
        message: MessageId,
    },
    /// The agent's turn is over.
    TurnEnded {
        /// The newest message that it answered.
        message: MessageId,
    },
    /// The agent, or a step before it, could not go on.
    Failed {
        /// Why, as a kind.
        failure: Failure,
        /// In whose words.
        detail: String,
    },
    /// The agent asks.
    InputRequired {
        /// The agent's id of what it asks.
        input: InputId,
        /// What kind of answer it waits for.
        kind: InputKind,
        /// The agent's own JSON of it.
        detail: serde_json::Value,
    },
    /// The agent no longer asks.
    InputWithdrawn {
        /// The agent's id of what it asked.
        input: InputId,
    },
    /// The branch is pushed.
    Pushed {
        /// The commit.
        head: String,
        /// How many commits it is ahead of the base.
        commits: u32,
        /// The subject of its first commit, for the pull request's title.
        subject: String,
    },
    /// The branch equals its base.
    NothingToPublish,
    /// The push failed for good.
    PushFailed {
        /// In git's own words.
        detail: String,
    },
    /// What the agent used so far in this run.
    Usage {
        /// The totals.
        usage: Usage,
    },
    /// A bundle was uploaded, whole.
    SnapshotStored {
        /// Which upload it was.
        upload: SnapshotUpload,
    },
    /// A snapshot was taken and cannot be stored yet; it is tried again.
    SnapshotWaits {
        /// Why.
        reason: Hindrance,
    },
    /// The last snapshot failed; there will be none.
    SnapshotAbandoned {
        /// Why.
        detail: String,
    },
    /// The agent's side is gone.
    Lost {
        /// What was seen.
        reason: String,
    },
}

/// A bundle that was uploaded beside the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotUpload {
    /// SHA-256 of the bytes uploaded.
    pub digest: BundleDigest,
    /// The bundle that the workload had restored or stored before, if any.
    pub parent: Option<BundleDigest>,
    /// How many bytes.
    pub size: u64,
    /// The repository's HEAD commit inside.
    pub git_head: String,
    /// Why it was taken.
    pub cause: SnapshotCause,
    /// Paths that were left out, at most 1,000.
    pub left_out: Vec<String>,
}

/// From the server to the sidecar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "down", rename_all = "snake_case")]
pub enum Down {
    /// The link is taken.
    Welcome {
        /// Its epoch: a later one ends this connection.
        epoch: u64,
        /// Up to which number frames are stored.
        acked: u64,
        /// What there is to do. Boxed: it is much larger than the rest.
        job: Box<Job>,
    },
    /// Frames up to this number are stored.
    Ack {
        /// The number.
        seq: u64,
    },
    /// Do this.
    Instruction(Instruction),
    /// Answer this.
    Ask {
        /// The question's number in this connection.
        ask: u64,
        /// The question.
        what: Ask,
    },
    /// The identity is unknown, superseded, or another connection took the link.
    Refused {
        /// Why, in one line.
        reason: String,
        /// Whether to try again in a second; otherwise the sidecar stops its agent and ends.
        retry: bool,
    },
}

/// Questions to a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// The branch's diff against its base.
    Changes,
}

/// Answers of a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answered", rename_all = "snake_case")]
pub enum Answered {
    /// The branch's diff against its base.
    Changes {
        /// The merge base.
        base: String,
        /// The commit at HEAD.
        head: String,
        /// A unified diff with the working tree's changes, as git writes it; hostile, at most 768 KiB.
        diff: String,
        /// Whether the diff was cut.
        truncated: bool,
    },
}

/// Where a run's door at the gateway is, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// The gateway's address, as the run reaches it.
    pub address: String,
    /// Its address for runs that may reach any public host; none where no run may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// The run's credential there. It opens this run's door alone, and only while the run is active.
    pub credential: String,
}

/// What one generation of a run is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// The generation.
    pub generation: Generation,
    /// The repository.
    pub repo: Repository,
    /// The address of the repository as people know it, `https://github.com/owner/name.git`; the
    /// harness reaches it through the gateway's route.
    pub remote_url: String,
    /// The branch that the pull request is to be merged into.
    pub base: Branch,
    /// The working branch.
    pub branch: Branch,
    /// The bundle to restore; a fresh clone without one.
    pub restore: Option<BundleDigest>,
    /// Whether an earlier run of the session pushed the branch: then its existence is no conflict.
    pub branch_is_ours: bool,
    /// Who the leftover commit is by.
    pub author_name: String,
    /// Their noreply address.
    pub author_email: String,
    /// The run's page, for the commit's trailer.
    pub run_url: String,
    /// What the agent may do without asking: OpenCode's permission configuration.
    pub permission: serde_json::Value,
    /// The model, as `provider/model`.
    pub model: String,
    /// How many seconds without a link before the agent is stopped.
    pub link_timeout_seconds: u32,
    /// How many seconds between snapshots while something changes.
    pub snapshot_interval_seconds: u32,
    /// The run's door at the gateway; none where the adapter gave it a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
}

/// The answer to `POST /canary`, beside the link: the control plane's own attempt at the address that no run
/// may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Whether it answered the control plane just now.
    pub reached: bool,
}
