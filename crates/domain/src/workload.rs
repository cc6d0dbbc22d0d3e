//! The adapter port: what an adapter is asked to have running. What it observes goes back as run
//! commands (`ReportWorkloadCreated`, `ReportLost`, `ReportRefused`, `ReportWorkloadRemoved`).
//!
//! The port is level-triggered: an adapter reads the whole list of desired workloads, compares it with
//! what it sees, and acts on the difference. A wake-up only makes it look sooner.

use crate::{
    ids::{Generation, RunId, SessionId},
    run::Harness,
};

/// A workload that should exist, or whose removal is still to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Which generation should be there; every other one of the run should not.
    pub generation: Generation,
    /// Whether it should be there at all.
    pub phase: Phase,
    /// Whether a fence or limit that cannot be enforced is acceptable.
    pub accept_unenforced: bool,
    /// The most memory, in MiB.
    pub memory_mib: u32,
    /// The most disk, in MiB.
    pub disk_mib: u32,
    /// The egress mode's name.
    pub egress: String,
    /// How many seconds the run may take from its admission.
    pub deadline_seconds: u32,
    /// What else its profile gives.
    pub harness: Harness,
}

/// What should be true of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It should run; the adapter has not reported it as made.
    Create,
    /// It should run, and was reported as made.
    Keep,
    /// The run has ended: it should go, and its removal be reported.
    Remove,
}

/// What a run asks a gateway for by `CONNECT` where it has no socket of its own there.
pub const DOOR: &str = "door.paddock.internal:80";
