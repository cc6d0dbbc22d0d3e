use std::sync::Arc;

use chrono::TimeDelta;
use commands::{Caused, Commands, Context};
use domain::{
    actor::{self, Refused},
    event::{Actor, Event},
    ids::{RunId, UserId},
    run,
    stream::StreamId,
};

use crate::support::{Database, GENERATION, StoppedClock, make_session, start_run, user};

async fn trail(commands: &Commands, stream: StreamId) -> Vec<Refused> {
    let events = commands::store::load(commands.pool(), stream).await.unwrap().events;
    let refused = |event| match event {
        Event::Actor(actor::Event::CommandRefused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(refused).collect()
}

fn by(user: UserId, request: &str) -> Caused {
    Caused { request: request.to_owned(), ..Caused::by(Actor::User(user)) }
}

#[tokio::test]
async fn the_first_refusal_is_appended_at_once_and_repeats_fold_into_one_event() {
    let database = Database::new().await;
    let clock = StoppedClock::new();
    let context = Context { clock: Arc::new(clock.clone()), ..Context::system() };
    let commands = Commands::new(database.pool(), context);
    let owner = user();
    let run = RunId(commands.context().id());
    for request in ["first", "second", "third", "fourth"] {
        let refused = commands.run(run, run::Command::Interrupt, by(owner, request)).await;
        refused.unwrap_err();
    }
    let one = Refused {
        command: "run.interrupt".to_owned(),
        target: Some(StreamId::from(run).to_string()),
        code: "run-not-found".to_owned(),
        request: "first".to_owned(),
        count: 1,
    };
    assert_eq!(trail(&commands, owner.into()).await, std::slice::from_ref(&one));
    assert_eq!(commands.flush_refusals().await.unwrap(), 0, "the minute is not over");
    clock.advance(TimeDelta::seconds(61));
    assert_eq!(commands.flush_refusals().await.unwrap(), 1);
    let folded = Refused { request: "second".to_owned(), count: 3, ..one.clone() };
    assert_eq!(trail(&commands, owner.into()).await, [one.clone(), folded.clone()]);

    commands.run(run, run::Command::Interrupt, by(owner, "later")).await.unwrap_err();
    let later = Refused { request: "later".to_owned(), ..one.clone() };
    assert_eq!(trail(&commands, owner.into()).await, [one, folded, later]);
    clock.advance(TimeDelta::seconds(61));
    assert_eq!(commands.flush_refusals().await.unwrap(), 0, "it did not repeat");
    assert_eq!(commands.load_run(run).await.unwrap().1.0, 0, "nothing in the target's stream");
}

#[tokio::test]
async fn a_refusal_that_did_not_repeat_begins_anew_without_a_flush() {
    let database = Database::new().await;
    let clock = StoppedClock::new();
    let context = Context { clock: Arc::new(clock.clone()), ..Context::system() };
    let commands = Commands::new(database.pool(), context);
    let owner = user();
    for request in ["a", "b"] {
        commands.refused(Actor::User(owner), "run.start", None, "denied", request).await.unwrap();
        clock.advance(TimeDelta::seconds(61));
    }
    let requests: Vec<_> =
        trail(&commands, owner.into()).await.into_iter().map(|refused| refused.request).collect();
    assert_eq!(requests, ["a", "b"]);
}

#[tokio::test]
async fn refusals_that_race_are_all_counted() {
    let database = Database::new().await;
    let clock = StoppedClock::new();
    let context = Context { clock: Arc::new(clock.clone()), ..Context::system() };
    let commands = Commands::new(database.pool(), context);
    let owner = user();
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..40 {
        let commands = commands.clone();
        racers.spawn(async move {
            let code = format!("code-{}", racer % 4);
            commands.refused(Actor::User(owner), "run.start", None, &code, "r").await.unwrap();
        });
    }
    racers.join_all().await;
    assert_eq!(trail(&commands, owner.into()).await.len(), 4);
    clock.advance(TimeDelta::seconds(61));
    assert_eq!(commands.flush_refusals().await.unwrap(), 4);
    let counted: u32 =
        trail(&commands, owner.into()).await.iter().map(|refused| refused.count).sum();
    assert_eq!(counted, 40);
}

#[tokio::test]
async fn a_pods_refusals_stand_in_the_trail_of_its_run_and_the_control_planes_nowhere() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let session = make_session(&commands, owner).await;
    let run = start_run(&commands, session, owner).await;
    let report = || run::Command::ReportLost { generation: GENERATION, reason: "gone".to_owned() };
    let pod = Actor::Pod(run, GENERATION);
    commands.run(run, report(), Caused::by(pod)).await.unwrap_err();
    let stream = StreamId { kind: domain::stream::StreamKind::Actor, id: run.0 };
    assert_eq!(trail(&commands, stream).await[0].code, "run-report-out-of-order");
    let system = Actor::System(domain::event::Part::Adapter);
    commands.run(run, report(), Caused::by(system)).await.unwrap_err();
    assert_eq!(trail(&commands, stream).await.len(), 1);
}
