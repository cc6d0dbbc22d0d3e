//! What to do about the difference between what should be there and what is: pure.

use domain::{
    ids::{Generation, RunId},
    workload::{Desired, Phase},
};

/// What is seen of one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make the workload and report it.
    Create(Desired),
    /// Start its sidecar again, on its spool.
    RestartSidecar(Desired),
    /// Report that its sandbox is gone.
    ReportLost(Desired),
    /// End it and remove what it left, and report that where the run still counts on it.
    Remove {
        /// The run.
        run: RunId,
        /// Which of its workloads.
        generation: Generation,
        /// Whether its removal is to be reported.
        report: bool,
    },
}

/// The actions that bring what is nearer to what should be.
#[must_use]
pub(crate) fn plan(desired: &[Desired], observed: &[Observed]) -> Vec<Action> {
    let mut actions = Vec::new();
    for seen in observed {
        let wanted = desired.iter().find(|wanted| wanted.run == seen.run);
        let current = wanted.is_some_and(|wanted| wanted.generation == seen.generation);
        if !current {
            actions.push(Action::Remove {
                run: seen.run,
                generation: seen.generation,
                report: false,
            });
        }
    }
    for wanted in desired {
        let seen = observed
            .iter()
            .find(|seen| seen.run == wanted.run && seen.generation == wanted.generation);
        let action = match (wanted.phase, seen) {
            (Phase::Remove, _) => Some(Action::Remove {
                run: wanted.run,
                generation: wanted.generation,
                report: true,
            }),
            (Phase::Create, None) => Some(Action::Create(wanted.clone())),
            (Phase::Create, Some(seen)) if !seen.begun => Some(Action::Create(wanted.clone())),
            // It was made, and this process ended before it said so.
            (Phase::Create, Some(seen)) if seen.sandbox => Some(Action::Create(wanted.clone())),
            (Phase::Keep, None) => Some(Action::ReportLost(wanted.clone())),
            (_, Some(seen)) if !seen.sandbox => Some(Action::ReportLost(wanted.clone())),
            (_, Some(seen)) if !seen.sidecar => Some(Action::RestartSidecar(wanted.clone())),
            (Phase::Create | Phase::Keep, Some(_)) => None,
        };
        actions.extend(action);
    }
    actions
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
        }
    }

    fn seen(generation: u32, sandbox: bool, sidecar: bool) -> Observed {
        let generation = Generation(generation);
        Observed { run: RunId(Uuid::nil()), generation, begun: true, sandbox, sidecar }
    }

    fn removal(generation: u32, report: bool) -> Action {
        Action::Remove { run: RunId(Uuid::nil()), generation: Generation(generation), report }
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        assert_eq!(plan(&[desired(Phase::Keep, 1)], &[seen(1, true, true)]), []);
        assert_eq!(plan(&[], &[]), []);
    }

    #[test]
    fn a_dead_sidecar_is_started_again_and_a_dead_sandbox_is_lost() {
        let keep = desired(Phase::Keep, 1);
        let again = Action::RestartSidecar(keep.clone());
        assert_eq!(plan(std::slice::from_ref(&keep), &[seen(1, true, false)]), [again]);
        let lost = Action::ReportLost(keep.clone());
        let seen_dead = plan(std::slice::from_ref(&keep), &[seen(1, false, true)]);
        assert_eq!(seen_dead, std::slice::from_ref(&lost));
        assert_eq!(plan(&[keep], &[]), [lost]);
    }

    #[test]
    fn superseded_and_unknown_workloads_go_without_a_report() {
        let create = desired(Phase::Create, 2);
        let actions = plan(std::slice::from_ref(&create), &[seen(1, true, true)]);
        assert_eq!(actions, [removal(1, false), Action::Create(create)]);
        assert_eq!(plan(&[], &[seen(1, true, true)]), [removal(1, false)]);
    }

    #[test]
    fn an_ended_run_is_removed_and_reported_even_if_nothing_is_left() {
        assert_eq!(plan(&[desired(Phase::Remove, 1)], &[]), [removal(1, true)]);
    }
}
