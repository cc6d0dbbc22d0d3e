use std::collections::HashMap;

use domain::{
    ids::{RunId, UserId},
    run::QueueReason,
};

/// How much of its limit a run is expected to need: three eighths. With the default of 2 GiB that is
/// 768 MiB; OpenCode was seen to peak at 650 MB in a turn.
const EXPECTED: (u64, u64) = (3, 8);
/// Free memory is told anew once it differs by so much: the reason is an event, and memory breathes.
const STEP_MIB: u64 = 512;

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) run: RunId,
    pub(super) owner: UserId,
    pub(super) memory_mib: u32,
    /// Why it waits, as was last said.
    pub(super) reason: Option<QueueReason>,
}

/// What the active runs take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) by_owner: HashMap<UserId, u32>,
    /// The memory limits of those that have hardly begun: what they need is not taken yet.
    pub(super) beginning_mib: Vec<u32>,
    /// The memory limits of the others: part of what they need may still come.
    pub(super) working_mib: Vec<u32>,
}

/// What there is to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) max_runs: u32,
    pub(super) max_runs_per_owner: u32,
    /// Free memory; none where it is unknown and limits nothing.
    pub(super) free_mib: Option<u64>,
}

/// What becomes of a waiting run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Admit,
    Wait(QueueReason),
}

/// Decides on every waiting run, which are in the order in which they were asked for. Nobody overtakes a
/// run that waits for memory or for a free place; a run that waits for its owner's other runs holds
/// nobody else up. A reason that was said already is not among the decisions.
pub(super) fn plan(
    waiting: &[Waiting],
    mut active: Active,
    capacity: Capacity,
) -> Vec<(RunId, Decision)> {
    let mut full = None;
    waiting
        .iter()
        .filter_map(|run| {
            let reason = full.clone().or_else(|| reason(run, &active, capacity));
            let Some(reason) = reason else {
                *active.by_owner.entry(run.owner).or_default() += 1;
                active.beginning_mib.push(run.memory_mib);
                return Some((run.run, Decision::Admit));
            };
            if let QueueReason::Memory { .. } = reason {
                full = Some(reason.clone());
            }
            let reason = settled(run, reason);
            (run.reason.as_ref() != Some(&reason)).then_some((run.run, Decision::Wait(reason)))
        })
        .collect()
}

fn reason(run: &Waiting, active: &Active, capacity: Capacity) -> Option<QueueReason> {
    let Capacity { max_runs, max_runs_per_owner, .. } = capacity;
    let all = active.by_owner.values().sum();
    if all >= max_runs {
        return Some(QueueReason::RunsActive { active: all, limit: max_runs });
    }
    let own = active.by_owner.get(&run.owner).copied().unwrap_or_default();
    if own >= max_runs_per_owner {
        return Some(QueueReason::OwnerRunsActive { active: own, limit: max_runs_per_owner });
    }
    let free_mib = capacity.free_mib?.saturating_sub(claims(active));
    let needed_mib = expected(run.memory_mib);
    (free_mib < needed_mib).then_some(QueueReason::Memory { needed_mib, free_mib })
}

/// What the active runs may still take of the memory that is free now.
fn claims(active: &Active) -> u64 {
    let beginning: u64 = active.beginning_mib.iter().map(|limit| expected(*limit)).sum();
    let working: u64 = active.working_mib.iter().map(|limit| expected(*limit) / 3).sum();
    beginning + working
}

fn expected(limit_mib: u32) -> u64 {
    u64::from(limit_mib) * EXPECTED.0 / EXPECTED.1
}

/// The reason as it was said before, where only the free memory moved a little.
fn settled(run: &Waiting, reason: QueueReason) -> QueueReason {
    match (&run.reason, &reason) {
        (
            Some(said @ QueueReason::Memory { needed_mib: needed, free_mib: before }),
            QueueReason::Memory { needed_mib, free_mib },
        ) if needed == needed_mib && before.abs_diff(*free_mib) < STEP_MIB => said.clone(),
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(n))
    }

    fn run(n: u128) -> RunId {
        RunId(uuid::Uuid::from_u128(n))
    }

    fn waiting(n: u128, of: u128) -> Waiting {
        Waiting { run: run(n), owner: owner(of), memory_mib: 2048, reason: None }
    }

    fn active(by: &[(u128, u32)]) -> Active {
        let by_owner = by.iter().map(|(of, count)| (owner(*of), *count)).collect();
        Active { by_owner, ..Active::default() }
    }

    fn plenty() -> Capacity {
        Capacity { max_runs: 4, max_runs_per_owner: 2, free_mib: Some(64 * 1024) }
    }

    fn free(mib: u64) -> Capacity {
        Capacity { max_runs: 10, max_runs_per_owner: 10, free_mib: Some(mib) }
    }

    fn decisions(plan: Vec<(RunId, Decision)>) -> Vec<Decision> {
        plan.into_iter().map(|(_, decision)| decision).collect()
    }

    fn memory(needed_mib: u64, free_mib: u64) -> Decision {
        Decision::Wait(QueueReason::Memory { needed_mib, free_mib })
    }

    #[test]
    fn four_runs_start_at_once_and_the_fifth_is_told_how_many_there_are() {
        let queue: Vec<_> = (1..=5).map(|n| waiting(n, n)).collect();
        let plan = decisions(plan(&queue, Active::default(), plenty()));
        assert!(plan[..4].iter().all(|decision| *decision == Decision::Admit));
        assert_eq!(plan[4], Decision::Wait(QueueReason::RunsActive { active: 4, limit: 4 }));
    }

    #[test]
    fn with_no_run_allowed_every_one_waits_and_what_is_active_beyond_a_limit_is_counted() {
        let none = Capacity { max_runs: 0, ..plenty() };
        let plan = |active, capacity| decisions(super::plan(&[waiting(1, 1)], active, capacity));
        let full = |active, limit| [Decision::Wait(QueueReason::RunsActive { active, limit })];
        assert_eq!(plan(Active::default(), none), full(0, 0));
        let lower = Capacity { max_runs: 2, ..plenty() };
        assert_eq!(plan(active(&[(2, 3)]), lower), full(3, 2));
    }

    #[test]
    fn an_owner_with_enough_runs_waits_and_holds_nobody_else_up() {
        let queue = [waiting(1, 1), waiting(2, 2)];
        let plan = plan(&queue, active(&[(1, 2)]), plenty());
        let full = QueueReason::OwnerRunsActive { active: 2, limit: 2 };
        assert_eq!(plan, [(run(1), Decision::Wait(full)), (run(2), Decision::Admit)]);
    }

    #[test]
    fn runs_of_the_same_round_count_for_their_owner() {
        let queue = [waiting(1, 1), waiting(2, 1), waiting(3, 1)];
        let plan = decisions(plan(&queue, Active::default(), plenty()));
        assert_eq!(plan[..2], [Decision::Admit, Decision::Admit]);
        assert!(matches!(plan[2], Decision::Wait(QueueReason::OwnerRunsActive { active: 2, .. })));
    }

    #[test]
    fn four_gib_of_free_memory_are_enough_for_four_runs_and_no_more() {
        let queue: Vec<_> = (1..=6).map(|n| waiting(n, n)).collect();
        let plan = decisions(plan(&queue, Active::default(), free(3_800)));
        assert!(plan[..4].iter().all(|decision| *decision == Decision::Admit));
        assert_eq!(plan[4], memory(768, 3_800 - 4 * 768));
        assert_eq!(plan[5], plan[4]);
    }

    #[test]
    fn what_admitted_runs_may_still_claim_is_not_given_away() {
        let mut taken = active(&[(1, 2)]);
        taken.beginning_mib = vec![2048];
        taken.working_mib = vec![2048];
        let claimed = 768 + 256;
        let one = [waiting(1, 2)];
        let enough = plan(&one, taken.clone(), free(claimed + 768));
        assert_eq!(decisions(enough), [Decision::Admit]);
        let short = plan(&one, taken, free(claimed + 767));
        assert_eq!(decisions(short), [memory(768, 767)]);
    }

    #[test]
    fn a_small_run_does_not_overtake_a_large_one_that_waits_for_memory() {
        let mut large = waiting(1, 1);
        large.memory_mib = 8192;
        let mut small = waiting(2, 2);
        small.memory_mib = 256;
        let plan = decisions(plan(&[large, small], Active::default(), free(1_000)));
        assert_eq!(plan, [memory(3072, 1_000), memory(3072, 1_000)]);
    }

    #[test]
    fn memory_that_breathes_changes_no_reason() {
        let mut run = waiting(1, 1);
        run.reason = Some(QueueReason::Memory { needed_mib: 768, free_mib: 300 });
        let now = |mib| decisions(plan(std::slice::from_ref(&run), Active::default(), free(mib)));
        assert_eq!(now(500), []);
        assert_eq!(now(100), []);
        run.reason = Some(QueueReason::Memory { needed_mib: 768, free_mib: 700 });
        let now = decisions(plan(&[run], Active::default(), free(100)));
        assert_eq!(now, [memory(768, 100)]);
    }

    #[test]
    fn where_memory_is_unknown_it_limits_nothing() {
        let capacity = Capacity { free_mib: None, ..plenty() };
        let plan = plan(&[waiting(1, 1)], Active::default(), capacity);
        assert_eq!(decisions(plan), [Decision::Admit]);
    }
}
