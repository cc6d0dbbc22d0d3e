//! What is to be done about the difference between what should be and what is. Pure.

use std::collections::HashMap;

use domain::{
    ids::{Generation, RunId},
    workload::{Desired, Phase},
};

use crate::{
    names,
    seen::{Disrupted, Seen, Stands},
};

/// By whose doing pods were being deleted when they were last seen.
pub(crate) type Gone = HashMap<(RunId, Generation), Disrupted>;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make the pod.
    Create(Desired),
    /// It is there: say so.
    Made(Desired, Seen),
    /// Another policy is to select it: it may reach more, or less, or somebody took its labels away.
    Fence(Desired),
    /// All of it runs: say what the cluster says of it.
    Began(Desired),
    /// It waits, in these words.
    Waits(Desired, String),
    /// It is gone, or ended, in these words.
    Lost(Desired, String),
    /// It took more than it may, in these words.
    Over(Desired, String),
    /// Nothing is left of it: say so.
    Removed(RunId, Generation),
    /// Delete the pod.
    Delete(Seen, Why),
}

/// Why a pod is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its run has ended.
    Ended,
    /// A later one of its run replaces it.
    Superseded,
    /// Nobody asked for it, or no longer.
    Unknown,
}

/// What kind of thing it is: of one workload, one of a kind is enough until its effect is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Make,
    Fence,
    Tell,
    End,
    Remove,
    Delete,
}

impl Action {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            // What was made was said in the same step.
            Self::Create(_) | Self::Made(..) => Kind::Make,
            Self::Fence(_) => Kind::Fence,
            Self::Began(_) | Self::Waits(..) => Kind::Tell,
            Self::Lost(..) | Self::Over(..) => Kind::End,
            Self::Removed(..) => Kind::Remove,
            Self::Delete(..) => Kind::Delete,
        }
    }

    /// Of which workload it is.
    pub(crate) fn key(&self) -> (RunId, Generation) {
        match self {
            Self::Create(desired)
            | Self::Made(desired, _)
            | Self::Began(desired)
            | Self::Fence(desired)
            | Self::Waits(desired, _)
            | Self::Lost(desired, _)
            | Self::Over(desired, _) => (desired.run, desired.generation),
            Self::Removed(run, generation) => (*run, *generation),
            Self::Delete(seen, _) => (seen.run, seen.generation),
        }
    }

    pub(crate) fn run(&self) -> RunId {
        self.key().0
    }
}

/// The actions that bring what is nearer to what should be.
///
/// `gone` says by whose doing pods are gone that are not seen any more, as far as it is known.
pub(crate) fn plan(desired: &[Desired], seen: &[Seen], gone: &Gone) -> Vec<Action> {
    let mut actions = Vec::new();
    let generations: HashMap<RunId, Generation> =
        desired.iter().map(|wanted| (wanted.run, wanted.generation)).collect();
    let pods: HashMap<(RunId, Generation), &Seen> =
        seen.iter().map(|pod| ((pod.run, pod.generation), pod)).collect();
    for pod in seen.iter().filter(|pod| !pod.leaving) {
        let why = match generations.get(&pod.run) {
            Some(wanted) if *wanted == pod.generation => continue,
            Some(_) => Why::Superseded,
            None => Why::Unknown,
        };
        actions.push(Action::Delete(pod.clone(), why));
    }
    for wanted in desired {
        let key = (wanted.run, wanted.generation);
        actions.extend(step(wanted, pods.get(&key).copied(), gone.get(&key)));
    }
    actions
}

fn step(wanted: &Desired, seen: Option<&Seen>, why: Option<&Disrupted>) -> Option<Action> {
    match (wanted.phase, seen) {
        (Phase::Remove, None) => Some(Action::Removed(wanted.run, wanted.generation)),
        (Phase::Remove, Some(pod)) => {
            (!pod.leaving).then(|| Action::Delete(pod.clone(), Why::Ended))
        }
        (Phase::Create, None) => Some(Action::Create(wanted.clone())),
        (Phase::Keep, None) => {
            let words = why.map_or("the pod was deleted", |why| &why.words);
            Some(Action::Lost(wanted.clone(), words.to_owned()))
        }
        (Phase::Create | Phase::Keep, Some(pod)) => match &pod.stands {
            Stands::Over(words) => Some(Action::Over(wanted.clone(), words.clone())),
            Stands::Ended(words) => {
                let words = why.map_or(words, |why| &why.words);
                Some(Action::Lost(wanted.clone(), words.clone()))
            }
            // Before anything else: what it may not reach any more is shut at once. It may still be taking its
            // last snapshot.
            _ if pod.labels != names::labels(wanted) => Some(Action::Fence(wanted.clone())),
            _ if pod.leaving => None,
            Stands::Good | Stands::Waits(_) if wanted.phase == Phase::Create => {
                Some(Action::Made(wanted.clone(), pod.clone()))
            }
            Stands::Waits(words) => Some(Action::Waits(wanted.clone(), words.clone())),
            Stands::Good => pod.runs.then(|| Action::Began(wanted.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::SessionId;
    use uuid::Uuid;

    use super::*;

    fn wanted(phase: Phase, generation: u32) -> Desired {
        Desired {
            run: RunId(Uuid::nil()),
            session: SessionId(Uuid::nil()),
            generation: Generation(generation),
            phase,
            accept_unenforced: false,
            memory_mib: 1,
            disk_mib: 1,
            egress: "github".to_owned(),
            deadline_seconds: 60,
            harness: domain::run::Harness::default(),
        }
    }

    fn seen(generation: u32, stands: Stands) -> Seen {
        let (run, uid) = (RunId(Uuid::nil()), Uuid::nil());
        let generation = Generation(generation);
        let labels = names::labels(&wanted(Phase::Keep, generation.0));
        Seen { run, generation, uid, stands, labels, runs: false, leaving: false, disrupted: None }
    }

    fn of(wanted: &Desired, seen: &[Seen]) -> Vec<Action> {
        plan(std::slice::from_ref(wanted), seen, &Gone::new())
    }

    #[test]
    fn what_is_missing_is_made_once_and_what_was_made_is_said() {
        let create = wanted(Phase::Create, 1);
        assert_eq!(of(&create, &[]), [Action::Create(create.clone())]);
        let good = seen(1, Stands::Good);
        assert_eq!(
            of(&create, std::slice::from_ref(&good)),
            [Action::Made(create.clone(), good.clone())]
        );
        assert_eq!(of(&wanted(Phase::Keep, 1), &[good]), []);
    }

    #[test]
    fn what_may_reach_more_or_less_is_selected_by_another_policy() {
        let full = Desired { egress: "full".to_owned(), ..wanted(Phase::Keep, 1) };
        let fence = Action::Fence(full.clone());
        assert_eq!(of(&full, &[seen(1, Stands::Good)]), [fence]);
        let done = Seen { labels: names::labels(&full), ..seen(1, Stands::Good) };
        assert_eq!(of(&full, std::slice::from_ref(&done)), []);
        // Somebody else's label opens nothing for longer than it takes to see it.
        let keep = wanted(Phase::Keep, 1);
        assert_eq!(of(&keep, &[done]), [Action::Fence(keep.clone())]);
        let mut stripped = seen(1, Stands::Good);
        stripped.labels.remove(names::MANAGED_BY.0);
        assert_eq!(of(&keep, &[stripped]), [Action::Fence(keep.clone())]);
    }

    #[test]
    fn what_waits_says_why() {
        let (keep, words) = (wanted(Phase::Keep, 1), "no node has room".to_owned());
        let waits = seen(1, Stands::Waits(words.clone()));
        assert_eq!(of(&keep, &[waits]), [Action::Waits(keep.clone(), words)]);
    }

    #[test]
    fn what_runs_is_told_of() {
        let (keep, runs) = (wanted(Phase::Keep, 1), Seen { runs: true, ..seen(1, Stands::Good) });
        assert_eq!(of(&keep, &[runs]), [Action::Began(keep.clone())]);
    }

    #[test]
    fn what_ends_is_lost_or_over() {
        let keep = wanted(Phase::Keep, 1);
        let lost = |words: &str| [Action::Lost(keep.clone(), words.to_owned())];
        assert_eq!(of(&keep, &[]), lost("the pod was deleted"));
        assert_eq!(of(&keep, &[seen(1, Stands::Ended("evicted".to_owned()))]), lost("evicted"));
        let over = seen(1, Stands::Over("memory".to_owned()));
        assert_eq!(of(&keep, &[over]), [Action::Over(keep.clone(), "memory".to_owned())]);
    }

    #[test]
    fn what_is_gone_is_lost_in_the_words_that_were_last_seen_of_it() {
        let keep = wanted(Phase::Keep, 1);
        let disrupted = Disrupted { words: "evicted".to_owned(), node: "n1".to_owned() };
        let gone = Gone::from([((keep.run, keep.generation), disrupted)]);
        let lost = Action::Lost(keep.clone(), "evicted".to_owned());
        assert_eq!(plan(&[keep], &[], &gone), [lost]);
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_waited_for() {
        let leaving = Seen { leaving: true, ..seen(1, Stands::Good) };
        for phase in [Phase::Create, Phase::Keep, Phase::Remove] {
            assert_eq!(of(&wanted(phase, 1), std::slice::from_ref(&leaving)), []);
        }
        assert_eq!(plan(&[], &[leaving], &Gone::new()), []);
    }

    #[test]
    fn what_nobody_wants_goes_and_its_end_is_said_when_it_is_gone() {
        let (old, new) = (seen(1, Stands::Good), wanted(Phase::Create, 2));
        let superseded = Action::Delete(old.clone(), Why::Superseded);
        assert_eq!(of(&new, std::slice::from_ref(&old)), [superseded, Action::Create(new.clone())]);
        let unknown = Action::Delete(old.clone(), Why::Unknown);
        assert_eq!(plan(&[], std::slice::from_ref(&old), &Gone::new()), [unknown]);
        let ended = wanted(Phase::Remove, 1);
        assert_eq!(of(&ended, std::slice::from_ref(&old)), [Action::Delete(old, Why::Ended)]);
        assert_eq!(of(&ended, &[]), [Action::Removed(ended.run, ended.generation)]);
    }
}
