use crate::{
    ids::{BundleDigest, Generation, RunId, SessionId},
    run::Outcome,
    session::{BundleInfo, Created, PullState},
    text::TextRef,
};

/// What can be asked of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Create(Created),
    /// Make it from another session's bundle.
    Fork {
        /// What `session.created` will hold.
        created: Created,
        /// Where the bundle is from.
        from: SessionId,
        /// The bundle that the first run restores.
        bundle: BundleInfo,
    },
    /// Give it another title.
    Rename {
        /// The new title.
        title: TextRef,
    },
    /// Take it out of the everyday lists.
    Archive,
    /// Bring it back.
    Restore,
    /// Let its bundles and outputs go.
    Delete,
    /// Make a run its active one.
    StartRun {
        /// The run.
        run: RunId,
    },
    /// Its active run has ended.
    EndRun {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// A pod of its active run stored a bundle.
    StoreBundle {
        /// The run whose pod made it.
        run: RunId,
        /// The generation of that pod, already checked against the run.
        generation: Generation,
        /// The bundle.
        bundle: BundleInfo,
    },
    /// A bundle is gone from the store.
    ExpireBundle {
        /// The bundle.
        digest: BundleDigest,
    },
    /// The forge was asked how its pull request stands.
    ObservePullRequest {
        /// The pull request's number.
        number: u64,
        /// How it was taken to stand; counts where nothing was seen of it before.
        was: PullState,
        /// How it stands.
        state: PullState,
    },
}
