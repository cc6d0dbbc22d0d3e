//! When a change of the settings has its effect, and on which runs, in words.

use projections::model::{RunRow, RunState};

use super::Place;

/// The runs that a change may be about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) active: usize,
    pub(super) waiting: usize,
}

impl InFlight {
    pub(super) fn of<'a>(runs: impl IntoIterator<Item = &'a RunRow>) -> Self {
        let mut counted = Self::default();
        for run in runs {
            match run.state {
                RunState::Queued => counted.waiting += 1,
                _ => counted.active += 1,
            }
        }
        counted
    }
}

pub(super) const LIMITS: &str = "Holds from the next admission on, at once and without a restart. Runs that are \
    active go on, also beyond a lower limit; runs that wait are looked at anew.";
pub(super) const ALLOW_LIST: &str = "Holds for new connections of all runs, also of those that are active, \
    within seconds and without a restart. Connections that are open stay open.";
pub(super) const PROFILES: &str = "Holds for runs that are asked for from now on. A run that waits or is active \
    keeps what its profile gave when it was asked for.";
pub(super) const RETENTION: &str = "Holds from the next sweep on, within a minute and without a restart. What is \
    removed cannot be brought back; the bundle that a session goes on from always stays.";

pub(super) fn limits(InFlight { active, waiting }: InFlight) -> String {
    format!("{LIMITS} Now {} active and {}.", are(active), waits(waiting))
}

pub(super) fn allow_list(InFlight { active, .. }: InFlight) -> String {
    format!("{ALLOW_LIST} Now {} active.", are(active))
}

pub(super) fn profile(InFlight { active, waiting }: InFlight) -> String {
    let runs = active + waiting;
    match runs {
        0 => format!("{PROFILES} No run of this profile waits or is active."),
        1 => format!("{PROFILES} This is so for 1 run."),
        _ => format!("{PROFILES} This is so for {runs} runs."),
    }
}

/// With how many bundles and how many runs' outputs go at the next sweep.
pub(super) fn retention(bundles: usize, outputs: usize) -> String {
    format!(
        "{RETENTION} The next sweep removes {} and the output of {}.",
        count(bundles, "bundle"),
        count(outputs, "run")
    )
}

fn are(runs: usize) -> String {
    if runs == 1 { "1 run is".to_owned() } else { format!("{runs} runs are") }
}

fn waits(runs: usize) -> String {
    if runs == 1 { "1 waits".to_owned() } else { format!("{runs} wait") }
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Where runs are, in words.
pub(super) const fn place(place: Place) -> &'static str {
    match place {
        Place::Machine => "machine",
        Place::Cluster => "cluster",
    }
}
