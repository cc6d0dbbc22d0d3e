//! What to do about the difference between what should be there and what is: pure.

use domain::{
    ids::{Generation, RunId},
    workload::{Desired, Phase},
};

/// What is seen of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The run.
    pub(crate) run: RunId,
    /// Which of its workloads.
    pub(crate) generation: Generation,
    /// Whether its sandbox was ever started.
    pub(crate) begun: bool,
    /// Whether its sandbox runs.
    pub(crate) sandbox: bool,
    /// Whether its sidecar runs.
    pub(crate) sidecar: bool,
    /// That it took more than it may, in words.
    pub(crate) over: Option<String>,
}

/// Why a workload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Its run ended: that it is gone is to be reported.
    Ended,
    /// A later one of its run replaces it.
    Superseded,
    /// Nobody asked for it, or no longer.
    Unknown,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make the workload, or take it over where it was made, and report it.
    Create(Desired),
    /// Start its sidecar again, on its spool.
    RestartSidecar(Desired),
    /// Report that its sandbox is gone.
    ReportLost(Desired),
    /// Report that it took more than it may, in these words.
    ReportOver(Desired, String),
    /// End it and remove what it left.
    Remove {
        /// The run.
        run: RunId,
        /// Which of its workloads.
        generation: Generation,
        /// Why.
        why: Removal,
    },
}

impl Action {
    /// Which workload it is about.
    pub(crate) fn key(&self) -> (RunId, Generation) {
        match self {
            Self::Create(desired)
            | Self::RestartSidecar(desired)
            | Self::ReportLost(desired)
            | Self::ReportOver(desired, _) => (desired.run, desired.generation),
            Self::Remove { run, generation, .. } => (*run, *generation),
        }
    }
}

/// The actions that bring what is nearer to what should be. A run's older workloads go first.
#[must_use]
pub(crate) fn plan(desired: &[Desired], observed: &[Observed]) -> Vec<Action> {
    let mut actions = Vec::new();
    for seen in observed {
        let why = match desired.iter().find(|wanted| wanted.run == seen.run) {
            Some(wanted) if wanted.generation == seen.generation => continue,
            Some(_) => Removal::Superseded,
            None => Removal::Unknown,
        };
        actions.push(Action::Remove { run: seen.run, generation: seen.generation, why });
    }
    for wanted in desired {
        let seen = observed
            .iter()
            .find(|seen| seen.run == wanted.run && seen.generation == wanted.generation);
        actions.extend(step(wanted, seen));
    }
    actions
}

fn step(wanted: &Desired, seen: Option<&Observed>) -> Option<Action> {
    if wanted.phase == Phase::Remove {
        let (run, generation) = (wanted.run, wanted.generation);
        return Some(Action::Remove { run, generation, why: Removal::Ended });
    }
    let Some(seen) = seen else {
        return Some(match wanted.phase {
            Phase::Create => Action::Create(wanted.clone()),
            Phase::Keep | Phase::Remove => Action::ReportLost(wanted.clone()),
        });
    };
    if let Some(words) = &seen.over {
        return Some(Action::ReportOver(wanted.clone(), words.clone()));
    }
    match wanted.phase {
        Phase::Create if !seen.begun => Some(Action::Create(wanted.clone())),
        _ if !seen.sandbox => Some(Action::ReportLost(wanted.clone())),
        // It was made, and this process ended before it said so.
        Phase::Create => Some(Action::Create(wanted.clone())),
        Phase::Keep if !seen.sidecar => Some(Action::RestartSidecar(wanted.clone())),
        Phase::Keep | Phase::Remove => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::SessionId;
    use uuid::Uuid;

    use super::*;

    fn desired(phase: Phase, generation: u32) -> Desired {
        Desired {
            run: RunId(Uuid::nil()),
            session: SessionId(Uuid::nil()),
            generation: Generation(generation),
            phase,
            accept_unenforced: false,
            memory_mib: 1,
            disk_mib: 1,
            egress: "github".to_owned(),
            deadline_seconds: 3600,
            harness: domain::run::Harness::default(),
        }
    }

    fn seen(generation: u32, sandbox: bool, sidecar: bool) -> Observed {
        let (run, generation) = (RunId(Uuid::nil()), Generation(generation));
        Observed { run, generation, begun: true, sandbox, sidecar, over: None }
    }

    fn removal(generation: u32, why: Removal) -> Action {
        Action::Remove { run: RunId(Uuid::nil()), generation: Generation(generation), why }
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        assert_eq!(plan(&[desired(Phase::Keep, 1)], &[seen(1, true, true)]), []);
        assert_eq!(plan(&[], &[]), []);
    }

    #[test]
    fn what_is_missing_is_made() {
        let create = desired(Phase::Create, 1);
        let made = [Action::Create(create.clone())];
        assert_eq!(plan(std::slice::from_ref(&create), &[]), made);
        // Directories without a sandbox: a start that was cut short.
        let cut_short = Observed { begun: false, ..seen(1, false, false) };
        assert_eq!(plan(&[create], &[cut_short]), made);
    }

    #[test]
    fn what_was_made_but_not_reported_is_taken_over_if_it_lives_and_lost_if_not() {
        let create = desired(Phase::Create, 1);
        let of = |seen| plan(std::slice::from_ref(&create), &[seen]);
        assert_eq!(of(seen(1, true, true)), [Action::Create(create.clone())]);
        assert_eq!(of(seen(1, true, false)), [Action::Create(create.clone())]);
        assert_eq!(of(seen(1, false, true)), [Action::ReportLost(create.clone())]);
    }

    #[test]
    fn a_dead_sidecar_is_started_again_and_a_dead_sandbox_is_lost() {
        let keep = desired(Phase::Keep, 1);
        let again = Action::RestartSidecar(keep.clone());
        assert_eq!(plan(std::slice::from_ref(&keep), &[seen(1, true, false)]), [again]);
        let lost = Action::ReportLost(keep.clone());
        for observed in [vec![seen(1, false, true)], vec![]] {
            assert_eq!(plan(std::slice::from_ref(&keep), &observed), std::slice::from_ref(&lost));
        }
    }

    #[test]
    fn a_workload_that_took_too_much_is_not_taken_for_a_lost_one() {
        let over = Observed { over: Some("the disk".to_owned()), ..seen(1, false, true) };
        for phase in [Phase::Create, Phase::Keep] {
            let wanted = desired(phase, 1);
            let report = Action::ReportOver(wanted.clone(), "the disk".to_owned());
            assert_eq!(plan(&[wanted], std::slice::from_ref(&over)), [report]);
        }
    }

    #[test]
    fn superseded_and_unknown_workloads_go() {
        let create = desired(Phase::Create, 2);
        let actions = plan(std::slice::from_ref(&create), &[seen(1, true, true)]);
        assert_eq!(actions, [removal(1, Removal::Superseded), Action::Create(create)]);
        assert_eq!(plan(&[], &[seen(1, true, true)]), [removal(1, Removal::Unknown)]);
    }

    #[test]
    fn an_ended_run_is_removed_and_reported_even_if_nothing_is_left() {
        let ended = [removal(1, Removal::Ended)];
        assert_eq!(plan(&[desired(Phase::Remove, 1)], &[]), ended);
        let over = Observed { over: Some(String::new()), ..seen(1, true, true) };
        assert_eq!(plan(&[desired(Phase::Remove, 1)], &[over]), ended);
    }
}
