//! What sidecar and harness say to each other: JSON over HTTP/1.1 on a Unix socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent.
    pub agent: Agent,
    /// This program's version.
    pub harness_version: String,
    /// Whether it was told to end, and only waits for a snapshot.
    pub ending: bool,
}

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Agent {
    /// Not told to start yet, or stopped when told to.
    NotStarted,
    /// Told to start; it does not answer yet.
    Starting,
    /// It answers.
    Running {
        /// Its own version.
        version: String,
    },
    /// It ended by itself.
    Exited {
        /// Its exit code, where it had one.
        code: Option<i32>,
        /// The signal that ended it, where one did.
        signal: Option<i32>,
        /// Whether the kernel ended it for want of memory, where that can be seen from inside.
        #[serde(default)]
        out_of_memory: bool,
    },
}

/// `POST /v1/gateway`: where the way out is, for a harness that was not started with a socket. The newest
/// counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRequest {
    /// The gateway's address, `10.0.0.7:3129`.
    pub address: String,
    /// What to ask it for by `CONNECT`.
    pub door: String,
    /// What to show it: the user name and password of `Proxy-Authorization: Basic`, with a colon between.
    pub login: String,
}

/// `POST /v1/probe`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// What to try, at most 32.
    pub targets: Vec<ProbeTarget>,
}

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeTarget {
    /// What it is called in the record.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// How.
    pub kind: ProbeKind,
}

/// How to try an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// A TCP connection.
    Tcp,
    /// A DNS query over UDP.
    UdpDns,
}

/// The answer to [`ProbeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// One for each target, in order.
    pub probes: Vec<Probe>,
}

/// What came of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The target's name.
    pub target: String,
    /// What came of it.
    pub verdict: ProbeVerdict,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVerdict {
    /// The network refused it.
    Refused,
    /// Nothing came back within five seconds.
    TimedOut,
    /// It went through.
    Reached,
    /// It could not be tried: not an address, or nothing left to try it with.
    NotProvable,
}

/// `POST /v1/clone`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneRequest {
    /// The repository's address as people know it.
    pub remote_url: String,
    /// The branch to merge into.
    pub base: String,
    /// The working branch.
    pub branch: String,
    /// Whether the working branch may be there already.
    pub branch_is_ours: bool,
}

/// The answer to [`CloneRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// The HEAD commit.
    pub git_head: String,
}

/// The answer to `POST /v1/restore`, whose body is a bundle and whose query is [`RestoreQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The HEAD commit.
    pub git_head: String,
}

/// The query of `POST /v1/restore`: what the clone it replaces would have been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreQuery {
    /// The repository's address as people know it.
    pub remote_url: String,
    /// The working branch: checked out, made where it is not there (after a fork).
    pub branch: String,
}

/// `POST /v1/agent/start`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartRequest {
    /// OpenCode's configuration. It is readable by the agent: no secret in it.
    pub config: Value,
}

/// `POST /v1/changes`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesRequest {
    /// The branch to merge into.
    pub base: String,
}

/// The answer to [`ChangesRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The merge base.
    pub base: String,
    /// The HEAD commit.
    pub head: String,
    /// A unified diff of the working tree, untracked files included.
    pub diff: String,
    /// Whether it was cut at [`MAX_DIFF_BYTES`].
    pub truncated: bool,
}

/// The most bytes of a diff.
pub const MAX_DIFF_BYTES: usize = 768 * 1024;

/// `POST /v1/commit`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRequest {
    /// The message.
    pub message: String,
    /// By whom the work is.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
    /// By whom the commit is.
    pub committer_name: String,
    /// Their address.
    pub committer_email: String,
}

/// The answer to [`CommitRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The HEAD commit.
    pub head: String,
    /// Whether there was anything to commit.
    pub committed: bool,
}

/// `POST /v1/push`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRequest {
    /// The working branch.
    pub branch: String,
    /// The branch to merge into.
    pub base: String,
}

/// The answer to [`PushRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushReport {
    /// What was pushed; nothing where the branch has no commit that its base has not.
    pub pushed: Option<Pushed>,
}

/// A pushed branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The commit.
    pub head: String,
    /// How many commits it is ahead of the base.
    pub commits: u32,
    /// The subject of the first of them.
    pub subject: String,
}

/// The answer to `POST /v1/snapshot`; the bytes are at `GET /v1/snapshot/content` until
/// `DELETE /v1/snapshot` or the next snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Compressed size in bytes.
    pub size: u64,
    /// The repository's HEAD commit.
    pub git_head: String,
    /// Paths that were left out, at most 1,000.
    pub left_out: Vec<String>,
}

/// Why a step failed: the body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// Of which kind.
    pub kind: StepErrorKind,
    /// In git's or the step's own words, at most 16 KiB.
    pub detail: String,
}

/// The kinds of failures that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepErrorKind {
    /// The repository is not there, or is not shown to this credential.
    RepositoryNotFound,
    /// The credential may not do this.
    Unauthorised,
    /// The branch to merge into is not there.
    BaseMissing,
    /// The working branch is there and is somebody else's.
    BranchExists,
    /// The remote branch has commits that the local one has not.
    PushRejected,
    /// The remote cannot be reached now; trying again may help.
    Unavailable,
    /// The bundle is not one, or holds what must not be restored.
    BadBundle,
    /// The agent did not start, or is not running.
    Agent,
    /// Anything else.
    Other,
}
