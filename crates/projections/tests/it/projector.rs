use domain::{
    event::Event,
    ids::{Position, RunId, SessionId, StreamVersion, TextId},
    run, session,
};
use projections::Lag;
use sqlx::Executor as _;
use std::time::Duration;
use uuid::Uuid;

use crate::support::{World, soon, story};

#[tokio::test]
async fn what_two_projectors_make_of_the_log_is_what_the_domain_says() {
    let world = World::new().await;
    let story = story(1_200);
    let (one, other) = (world.project(), world.project());
    for (place, events) in story.events.chunks(37).enumerate() {
        world.append(events).await;
        if place % 5 == 0 {
            world.caught_up().await;
        }
    }
    world.caught_up().await;
    for (id, state) in &story.runs {
        let run::State::Known(known) = state else { panic!("a run without events") };
        let row = world.views.run(*id).await.unwrap().expect("a row");
        assert_eq!(row.outcome.is_some(), matches!(known.stage, run::Stage::Ended(_)));
        assert_eq!(row.generation, known.generation);
        let line = world.views.timeline(*id, None, 200).await.unwrap().unwrap();
        assert_eq!(line.items.last().expect("a time line").version, row.version);
        assert_eq!(line.items.len() as u64, row.version.0);
    }
    for (id, state) in &story.sessions {
        let row = world.views.session(*id).await.unwrap();
        assert_eq!(row.is_some(), matches!(state, session::State::Known(_)));
    }
    let runs = story.events.iter().filter(|(_, event)| matches!(event, Event::Run(_))).count();
    assert_eq!(world.count("view.run_timeline").await, i64::try_from(runs).unwrap());
    one.stop().await;
    other.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_the_projection_loudly_and_just_there() {
    let world = World::new().await;
    let story = story(60);
    world.append(&story.events[..20]).await;
    let run = RunId(Uuid::nil());
    world.append_poison(run.into()).await;
    world.append(&story.events[20..]).await;
    let projector = world.project();
    let mut problem = world.views.health().problem_watch();
    let problem =
        soon(problem.wait_for(Option::is_some)).await.unwrap().clone().expect("a problem");
    assert!(problem.contains("position 21 cannot be projected"), "{problem}");
    assert!(problem.contains("run.exploded"), "{problem}");
    let lag = world.views.lag().await.unwrap();
    assert_eq!(lag, Lag { head: world.end(), projected: Position(20) });
    projector.stop().await;
    let rebuilt = projections::rebuild(&world.pool, true).await.expect("as far as the one in use");
    assert!(rebuilt.is_equal() && rebuilt.position == Position(20), "{rebuilt}");
    world.drop().await;
}

#[tokio::test]
async fn rows_and_checkpoint_commit_together_or_not_at_all() {
    let world = World::new().await;
    let story = story(200);
    world
        .pool
        .execute(
            "create function view.refuse() returns trigger language plpgsql
             as $$ begin raise exception 'the disk is full'; end $$;
             create trigger refuse before insert on view.bundle execute function view.refuse()",
        )
        .await
        .unwrap();
    world.append(&story.events).await;
    let projector = world.project();
    let mut problem = world.views.health().problem_watch();
    soon(problem.wait_for(Option::is_some)).await.unwrap();
    for table in ["view.session", "view.run", "view.run_timeline"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    assert_eq!(world.views.lag().await.unwrap().projected, Position::START);
    world.pool.execute("drop trigger refuse on view.bundle").await.unwrap();
    world.caught_up().await;
    assert_eq!(world.views.health().problem(), None);
    projector.stop().await;
    assert!(projections::rebuild(&world.pool, true).await.unwrap().is_equal());
    world.drop().await;
}

#[tokio::test]
async fn a_read_waits_for_what_it_is_to_include_but_not_for_ever() {
    let world = World::new().await;
    let story = story(1);
    let (stream, _) = story.events[0];
    let (first, patience) = (StreamVersion(1), Duration::from_secs(30));
    let nothing = Duration::from_millis(1);
    assert!(!world.views.wait_for(stream, first, nothing).await.unwrap());
    world.append(&story.events).await;
    let projector = world.project();
    assert!(soon(world.views.wait_for(stream, first, patience)).await.unwrap());
    assert!(world.views.session(SessionId(stream.id)).await.unwrap().is_some());
    assert!(!world.views.wait_for(stream, first.next(), nothing).await.unwrap());
    projector.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn an_erased_text_is_gone_from_every_read_by_itself() {
    let world = World::new().await;
    let (kept, erased) = (Uuid::from_u128(1), Uuid::from_u128(2));
    sqlx::query(
        "insert into paddock.event_text (id, salt, bytes)
         select id, decode(repeat('00', 16), 'hex'), 'words' from unnest($1::uuid[]) id",
    )
    .bind([kept, erased])
    .execute(&world.owner)
    .await
    .unwrap();
    sqlx::query("delete from paddock.event_text where id = $1")
        .bind(erased)
        .execute(&world.owner)
        .await
        .unwrap();
    let texts = world.views.texts(&[TextId(kept), TextId(erased)]).await.unwrap();
    assert_eq!(texts.get(&TextId(kept)).map(String::as_str), Some("words"));
    assert_eq!(texts.get(&TextId(erased)), None);
    world.drop().await;
}
