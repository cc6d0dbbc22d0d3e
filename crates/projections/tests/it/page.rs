//! What the page asks of the read models.

use std::collections::BTreeMap;

use domain::{
    event::{Actor, Event, Part},
    ids::{Generation, InputId, MessageId, Position, RunId, SessionId, StreamVersion, TextId},
    run::{self, Answer, Failure, InputKind, Outcome, PublishStage, Usage},
    session::{self, PullState},
    text::TextRef,
};
use projections::{Counts, SessionFilter, model::Group};
use uuid::Uuid;

use crate::{
    story::{Story, time},
    support::{World, all, story},
};

fn text() -> TextRef {
    TextRef { reference: TextId(Uuid::nil()), commit: String::new() }
}

/// A session with a run, told event by event.
struct Told<'a> {
    world: &'a World,
    session: SessionId,
    run: RunId,
}

impl<'a> Told<'a> {
    async fn begin(world: &'a World) -> Self {
        let mut story = Story::default();
        story.step((0, 1, 1));
        let created = story.events[0].1.clone();
        let (session, run) = (SessionId(Uuid::now_v7()), RunId(Uuid::now_v7()));
        world.append(&[(session.into(), created)]).await;
        let told = Self { world, session, run };
        told.on_session(session::Event::RunStarted { run }).await;
        let Event::Run(requested) = requested(session) else { panic!("a run's event") };
        told.on_run(requested).await;
        told
    }

    async fn on_session(&self, event: session::Event) {
        self.world.append(&[(self.session.into(), event.into())]).await;
    }

    async fn on_run(&self, event: run::Event) {
        self.world.append(&[(self.run.into(), event.into())]).await;
    }

    async fn by_system(&self, event: run::Event) {
        let actor = Actor::System(Part::Operator);
        self.world.append_by(actor, &[(self.run.into(), event.into())]).await;
    }

    async fn group(&self) -> Group {
        self.world.caught_up().await;
        self.world.views.session(self.session).await.unwrap().unwrap().group()
    }
}

fn requested(session: SessionId) -> Event {
    let mut story = Story::default();
    for step in crate::story::walk() {
        story.step(step);
        let found = story.events.iter().find_map(|(_, event)| match event {
            Event::Run(run::Event::Requested(requested)) => Some(requested.clone()),
            _ => None,
        });
        if let Some(mut requested) = found {
            requested.session = session;
            return run::Event::Requested(requested).into();
        }
    }
    unreachable!("a walk does not end")
}

#[tokio::test]
async fn a_group_says_what_a_session_asks_of_people() {
    let world = World::new().await;
    let projector = world.project();
    let told = Told::begin(&world).await;
    let generation = Generation::FIRST;
    let message = || MessageId("msg_1".to_owned());
    assert_eq!(told.group().await, Group::Waiting);
    for (event, group) in [
        (run::Event::Admitted { generation }, Group::Working),
        (run::Event::TurnStarted { message: message() }, Group::Working),
        (
            run::Event::InputRequired {
                input: InputId("in_1".to_owned()),
                kind: InputKind::Permission,
                detail: text(),
                until: time(90),
            },
            Group::NeedsYou,
        ),
        (
            run::Event::InputGiven { input: InputId("in_1".to_owned()), answer: Answer::Once },
            Group::Working,
        ),
        (run::Event::Idle { until: time(99) }, Group::Waiting),
        (run::Event::FinishRequested { cause: run::FinishCause::Asked }, Group::Working),
        (run::Event::BranchPushed { head: "a".repeat(40), commits: 1 }, Group::Working),
        (
            run::Event::PublishFailed {
                stage: PublishStage::PullRequest,
                attempt: 1,
                detail: text(),
                retry_at: Some(time(99)),
            },
            Group::Waiting,
        ),
        (
            run::Event::PublishFailed {
                stage: PublishStage::PullRequest,
                attempt: 2,
                detail: text(),
                retry_at: None,
            },
            Group::Working,
        ),
        (run::Event::Failed { failure: Failure::PullRequest, detail: None }, Group::NeedsYou),
        (run::Event::UsageReported { usage: Usage::default() }, Group::NeedsYou),
    ] {
        let name = format!("{event:?}");
        told.by_system(event).await;
        assert_eq!(told.group().await, group, "{name}");
    }
    // Told to try again: that is a person's act. It goes well, and nobody is needed any more.
    told.on_run(run::Event::PublishRequested {}).await;
    assert_eq!(told.group().await, Group::Working);
    let (number, url) = (7, "https://forge.test/7".to_owned());
    let opened = run::Event::PullRequestOpened { number, url, head: "a".repeat(40), created: true };
    told.by_system(opened).await;
    assert_eq!(told.group().await, Group::Done);
    projector.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn a_failure_needs_somebody_until_somebody_acts() {
    let world = World::new().await;
    let projector = world.project();
    let failed = || run::Event::Failed { failure: Failure::Model, detail: None };
    for act in [true, false] {
        let told = Told::begin(&world).await;
        told.by_system(failed()).await;
        let (run, outcome) = (told.run, Outcome::Failed);
        let ended = session::Event::RunEnded { run, outcome };
        let by = Actor::System(Part::Operator);
        world.append_by(by, &[(told.session.into(), ended.into())]).await;
        assert_eq!(told.group().await, Group::NeedsYou);
        if act {
            told.on_session(session::Event::Renamed { title: text() }).await;
        } else {
            told.on_session(session::Event::RunStarted { run: RunId(Uuid::now_v7()) }).await;
        }
        assert_eq!(told.group().await, if act { Group::Done } else { Group::Waiting });
        // What still comes of the old run says nothing of the new one.
        told.by_system(run::Event::WorkloadRemoved {
            generation: Generation::FIRST,
            output_digest: None,
        })
        .await;
        assert_eq!(told.group().await, if act { Group::Done } else { Group::Waiting });
    }
    projector.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn sums_counts_and_filters_agree_with_the_rows() {
    let world = World::new().await;
    let story = story(3_000);
    world.append(&story.events).await;
    let projector = world.project();
    world.caught_up().await;
    let views = &world.views;
    let mut used: BTreeMap<SessionId, u64> = BTreeMap::new();
    for state in story.runs.values() {
        if let run::State::Known(run) = state {
            *used.entry(run.requested.session).or_default() += run.usage.input_tokens;
        }
    }
    assert!(used.values().sum::<u64>() > 0);
    let mut counts = Counts::default();
    for archived in [false, true] {
        for group in Group::ALL {
            let filter = SessionFilter { archived, group: Some(group), ..SessionFilter::default() };
            let page = views.sessions(&all(), &filter, None, 200).await.unwrap().unwrap();
            assert!(page.next.is_none());
            for row in &page.items {
                assert_eq!((row.group(), row.archived), (group, archived));
                assert_eq!(row.usage.input_tokens, used.get(&row.id).copied().unwrap_or(0));
            }
            let count = page.items.len() as u64;
            match group {
                _ if archived => counts.archived += count,
                Group::NeedsYou => counts.needs_you = count,
                Group::Working => counts.working = count,
                Group::Waiting => counts.waiting = count,
                Group::Done => counts.done = count,
            }
        }
    }
    assert!(counts.archived > 0 && counts.waiting > 0, "{counts:?}");
    assert_eq!(views.counts(&all()).await.unwrap(), counts);

    let open = views.open_pulls().await.unwrap();
    assert!(!open.is_empty());
    for pull in &open {
        let row = views.session(pull.session).await.unwrap().unwrap();
        let known = row.pull_request.unwrap();
        assert_eq!((known.number, known.state), (pull.number, pull.state));
        assert!(matches!(pull.state, PullState::Open | PullState::Draft));
    }
    projector.stop().await;
    world.drop().await;
}

#[tokio::test]
async fn news_are_complete_from_every_position() {
    let world = World::new().await;
    let projector = world.project();
    let story = story(400);
    // What each session's newest position is, after each event.
    let mut newest: BTreeMap<SessionId, u64> = BTreeMap::new();
    let of_run = |id: Uuid| match &story.runs[&RunId(id)] {
        run::State::Known(run) => run.requested.session,
        run::State::New => panic!("a run without events"),
    };
    for (position, (stream, event)) in (1..).zip(&story.events) {
        let session = match event {
            Event::Session(_) => SessionId(stream.id),
            Event::Run(_) => of_run(stream.id),
            Event::Actor(_)
            | Event::Log(_)
            | Event::Settings(_)
            | Event::Binding(_)
            | Event::Credential(_) => continue,
        };
        newest.insert(session, position);
    }
    world.append(&story.events).await;
    world.caught_up().await;
    assert_eq!(world.views.projected().await.unwrap(), world.end());
    let end = world.end().0;
    for after in [0, 1, end / 3, end / 2, end - 1, end] {
        let rows = world.views.sessions_changed(Position(after), 1_000).await.unwrap();
        let found: Vec<(u64, SessionId)> = rows.iter().map(|row| (row.changed.0, row.id)).collect();
        let mut expected: Vec<(u64, SessionId)> = newest
            .iter()
            .filter(|(_, position)| **position > after)
            .map(|(session, position)| (*position, *session))
            .collect();
        expected.sort();
        assert_eq!(found, expected, "after {after} of {end}");
        let some = world.views.sessions_changed(Position(after), 3).await.unwrap();
        assert_eq!(some.len(), expected.len().min(3));
        assert!(some.iter().zip(&rows).all(|(some, all)| some.id == all.id));
    }
    let (stream, _) = story.events.iter().find(|(_, e)| matches!(e, Event::Run(_))).unwrap();
    let run = RunId(stream.id);
    let whole = world.views.timeline_after(run, StreamVersion::NONE, 1_000).await.unwrap();
    for (place, row) in whole.iter().enumerate() {
        let rest = world.views.timeline_after(run, row.version, 1_000).await.unwrap();
        assert_eq!(rest, whole[place + 1..]);
    }
    assert!(!whole.is_empty());
    projector.stop().await;
    world.drop().await;
}
