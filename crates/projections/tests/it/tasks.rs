use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::{
    ids::{RunId, UserId},
    run,
    workload::Phase,
};

use crate::{
    story::time,
    support::{World, story},
};

/// What the background tasks look for is what a look at every single run finds.
#[tokio::test]
async fn tasks_find_the_runs_that_need_them() {
    let world = World::new().await;
    let story = story(1_800);
    world.append(&story.events).await;
    let projector = world.project();
    world.caught_up().await;
    let views = &world.views;
    let runs: BTreeMap<RunId, &run::Run> = story
        .runs
        .iter()
        .map(|(id, state)| match state {
            run::State::Known(run) => (*id, &**run),
            run::State::New => panic!("a run without events"),
        })
        .collect();
    let where_ = |holds: fn(&run::Run) -> bool| -> Vec<RunId> {
        runs.iter().filter(|(_, run)| holds(run)).map(|(id, _)| *id).collect()
    };

    let queued = where_(|run| matches!(run.stage, run::Stage::Queued { .. }));
    let found = views.queue().await.unwrap();
    assert_eq!(found.iter().map(|queued| queued.run).collect::<Vec<_>>(), queued);

    let active =
        where_(|run| !matches!(run.stage, run::Stage::Queued { .. } | run::Stage::Ended(_)));
    let by_owner: BTreeMap<UserId, u32> = views.active().await.unwrap();
    assert_eq!(by_owner.values().sum::<u32>() as usize, active.len());
    let found = views.active_runs().await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), active);

    let desired = views.desired_workloads().await.unwrap();
    let there = where_(|run| !run.workload_removed);
    assert_eq!(desired.iter().map(|desired| desired.run).collect::<Vec<_>>(), there);
    for desired in &desired {
        let run = runs[&desired.run];
        assert_eq!(Some(desired.generation), run.generation);
        let expected = match run.stage {
            run::Stage::Ended(_) => Phase::Remove,
            _ if run.reported.made => Phase::Keep,
            _ => Phase::Create,
        };
        assert_eq!(desired.phase, expected, "{:?}", run.stage);
    }

    // Every run that has begun and not ended is due some day, in the order of that day.
    let end = time(story.events.len()) + TimeDelta::days(2);
    let due = views.due(end).await.unwrap();
    assert!(due.is_sorted_by_key(|due| due.since));
    let mut ids: Vec<RunId> = due.iter().map(|due| due.run).collect();
    ids.sort();
    assert_eq!(ids, active);
    assert_eq!(views.due(time(0)).await.unwrap(), vec![]);

    let mut publishing = views.publishing(end).await.unwrap();
    publishing.sort();
    let asked = where_(|run| match run.stage {
        run::Stage::Ended(_) => run.publish_requested,
        run::Stage::Publishing => run.pushed.is_some(),
        _ => false,
    });
    assert!(asked.iter().all(|run| publishing.contains(run)), "{asked:?} {publishing:?}");
    assert!(publishing.iter().all(|run| runs[run].pushed.is_some()));
    projector.stop().await;
    world.drop().await;
}
