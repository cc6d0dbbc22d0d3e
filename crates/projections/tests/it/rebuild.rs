use projections::{Differences, rebuild};
use sqlx::Executor as _;

use crate::support::{World, soon, story};

#[tokio::test]
async fn rebuilt_equals_live_and_a_difference_is_found_and_mended() {
    let world = World::new().await;
    world.append(&story(1_500).events).await;
    let projector = world.project();
    world.caught_up().await;
    let same = rebuild(&world.pool, true).await.unwrap();
    assert!(same.is_equal() && !same.replaced, "{same}");
    assert_eq!(same.position, world.end());

    world
        .pool
        .execute(
            "update view.run set body = (body::jsonb || '{\"retries\": 99}')::json
             where id = (select id from view.run order by id limit 1);
             delete from view.run_timeline
             where (run, version) = (select run, version from view.run_timeline limit 1)",
        )
        .await
        .unwrap();
    let other = rebuild(&world.pool, true).await.unwrap();
    assert!(!other.is_equal());
    let of = |table: &str| {
        let found = other.differences.iter().find(|found| found.table == table);
        found.cloned().unwrap()
    };
    let expected =
        |table: &str, wrong, missing| Differences { table: table.to_owned(), wrong, missing };
    assert_eq!(of("run"), expected("run", 1, 1));
    assert_eq!(of("run_timeline"), expected("run_timeline", 0, 1));
    assert_eq!(of("session"), expected("session", 0, 0));

    let mended = rebuild(&world.pool, false).await.unwrap();
    assert!(mended.replaced && !mended.is_equal(), "it says what it mended: {mended}");
    assert!(rebuild(&world.pool, true).await.unwrap().is_equal());
    projector.stop().await;
    world.drop().await;
}

/// What is compared is what is in use: unprojected events are no difference, and none is skipped.
#[tokio::test]
async fn a_projector_that_is_behind_is_compared_where_it_is() {
    let world = World::new().await;
    let events = story(400).events;
    world.append(&events[..100]).await;
    let projector = world.project();
    world.caught_up().await;
    projector.stop().await;
    world.append(&events[100..]).await;
    world.pool.execute("delete from view.session").await.unwrap();
    let behind = rebuild(&world.pool, true).await.unwrap();
    assert_eq!(behind.position.0, 100);
    assert!(!behind.is_equal());
    rebuild(&world.pool, false).await.unwrap();
    let projector = world.project();
    world.caught_up().await;
    let whole = rebuild(&world.pool, true).await.unwrap();
    assert!(whole.is_equal() && whole.position == world.end(), "{whole}");
    projector.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn read_models_are_replaced_under_load_while_they_are_read() {
    let world = World::new().await;
    let events = story(2_500).events;
    let projectors = [world.project(), world.project()];
    world.append(&events[..50]).await;
    world.caught_up().await;
    let writing = async {
        for events in events[50..].chunks(11) {
            world.append(events).await;
        }
    };
    let reading = async {
        for _ in 0..400 {
            world.views.lag().await.expect("readable at any moment");
            world.views.queue().await.expect("readable at any moment");
            world
                .views
                .runs(&crate::support::all(), &projections::RunFilter::default(), None, 5)
                .await
                .expect("readable")
                .unwrap();
        }
    };
    // Two at once: one waits for the other.
    let replacing = async {
        for _ in 0..4 {
            let (one, other) =
                tokio::join!(rebuild(&world.pool, false), rebuild(&world.pool, false));
            assert!(one.expect("rebuilt").is_equal());
            assert!(other.expect("rebuilt").is_equal());
        }
    };
    soon(Box::pin(async { tokio::join!(writing, reading, replacing) })).await;
    world.caught_up().await;
    assert_eq!(world.views.health().problem(), None);
    assert!(rebuild(&world.pool, true).await.unwrap().is_equal());
    for projector in projectors {
        projector.stop().await;
    }
    world.drop().await;
}

#[tokio::test]
async fn read_models_of_another_build_are_built_anew_before_they_are_used() {
    let world = World::new().await;
    let story = story(300);
    world.append(&story.events).await;
    let projector = world.project();
    world.caught_up().await;
    projector.stop().await;
    // As the first build had it, with rows that this one cannot read.
    world
        .pool
        .execute(
            "alter table view.checkpoint drop column shape;
             update view.run set body = '{}';
             alter table view.session rename column standing to archived",
        )
        .await
        .unwrap();
    let (one, other) =
        tokio::join!(projections::prepare(&world.pool), projections::prepare(&world.pool));
    one.unwrap();
    other.unwrap();
    assert_eq!(world.views.lag().await.unwrap().projected, world.end());
    assert!(rebuild(&world.pool, true).await.unwrap().is_equal());
    let last = *story.runs.keys().last().unwrap();
    assert!(world.views.run(last).await.unwrap().is_some());
    world.drop().await;
}
