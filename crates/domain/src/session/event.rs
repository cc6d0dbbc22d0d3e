use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    github::{Branch, Repository},
    ids::{BundleDigest, Generation, RunId, SessionId, UserId},
    run::Outcome,
    text::TextRef,
};

/// What happened to a session. Wire names are permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "body")]
pub enum Event {
    /// A person started a line of work.
    #[serde(rename = "session.created")]
    Created(Created),
    /// A person gave it another title.
    #[serde(rename = "session.renamed")]
    Renamed {
        /// The new title.
        title: TextRef,
    },
    /// It began as a copy of another session's bundle. Follows `created` at once.
    #[serde(rename = "session.forked")]
    Forked {
        /// Where the bundle is from.
        from: SessionId,
        /// The bundle that the first run restores.
        bundle: BundleInfo,
    },
    /// It left the everyday lists.
    #[serde(rename = "session.archived")]
    Archived {},
    /// It came back from the archive.
    #[serde(rename = "session.restored")]
    Restored {},
    /// Its bundles and outputs go; the log stays.
    #[serde(rename = "session.deleted")]
    Deleted {},
    /// A run became its active one.
    #[serde(rename = "session.run.started")]
    RunStarted {
        /// The run.
        run: RunId,
    },
    /// Its active run ended.
    #[serde(rename = "session.run.ended")]
    RunEnded {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// A snapshot of its state was stored and is now its head.
    #[serde(rename = "session.bundle.stored")]
    BundleStored {
        /// The run whose pod made it.
        run: RunId,
        /// The generation of that pod.
        generation: Generation,
        /// The bundle.
        bundle: BundleInfo,
    },
    /// Retention removed a bundle, or a newer one of the same run superseded it.
    #[serde(rename = "session.bundle.expired")]
    BundleExpired {
        /// The bundle.
        digest: BundleDigest,
    },
    /// Its pull request was merged.
    #[serde(rename = "session.pull_request.merged")]
    PullRequestMerged {
        /// The pull request's number.
        number: u64,
    },
    /// Its pull request was closed without being merged.
    #[serde(rename = "session.pull_request.closed")]
    PullRequestClosed {
        /// The pull request's number.
        number: u64,
    },
    /// Its pull request was opened again.
    #[serde(rename = "session.pull_request.reopened")]
    PullRequestReopened {
        /// The pull request's number.
        number: u64,
    },
    /// Its pull request was made a draft.
    #[serde(rename = "session.pull_request.drafted")]
    PullRequestDrafted {
        /// The pull request's number.
        number: u64,
    },
    /// Its pull request is no draft any more: it can be reviewed and merged.
    #[serde(rename = "session.pull_request.readied")]
    PullRequestReadied {
        /// The pull request's number.
        number: u64,
    },
}

/// How a pull request stands at the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullState {
    /// It can be merged.
    Open,
    /// It is not to be merged yet.
    Draft,
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed,
}

/// The body of `session.created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The repository worked on.
    pub repo: Repository,
    /// The branch that the pull request is to be merged into.
    pub base: Branch,
    /// The working branch, made by Paddock, shared by all its runs.
    pub branch: Branch,
    /// What it is about, in words.
    pub title: TextRef,
    /// The issue that it answers, if any: the pull request then says `Closes #n`.
    pub issue: Option<u64>,
    /// Who made it.
    pub owner: UserId,
}

/// A stored bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleInfo {
    /// Its name in the artifact store.
    pub digest: BundleDigest,
    /// The bundle that the pod had restored or stored before, if any.
    pub parent: Option<BundleDigest>,
    /// Compressed size in bytes.
    pub size: u64,
    /// The repository's HEAD commit inside, lower-case hexadecimal.
    pub git_head: String,
}
