use chrono::{DateTime, Utc};
use domain::{
    event::Actor,
    ids::{CorrelationId, EventId, RunId, TextId},
    run::{Failure, FinishCause, PublishStage},
    stream::StreamId,
};
use uuid::Uuid;

use super::*;

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn stream(events: Vec<Event>) -> Vec<Recorded> {
    (1..)
        .zip(events)
        .map(|(version, event)| Recorded {
            id: EventId(Uuid::nil()),
            stream: StreamId::from(RunId(Uuid::nil())),
            version: StreamVersion(version),
            actor: Actor::Pod(RunId(Uuid::nil()), Generation::FIRST),
            time: AT,
            correlation: CorrelationId(Uuid::nil()),
            event: AnyEvent::Run(event),
        })
        .collect()
}

fn text() -> TextRef {
    TextRef { reference: TextId(Uuid::nil()), commit: String::new() }
}

fn prompt(id: &str) -> Event {
    Event::PromptSubmitted { message: MessageId(id.into()), text: text() }
}

fn asked(id: &str, kind: InputKind) -> Event {
    Event::InputRequired { input: InputId(id.into()), kind, detail: text(), until: AT }
}

fn given(id: &str, answer: Answer) -> Event {
    Event::InputGiven { input: InputId(id.into()), answer }
}

fn admitted() -> Event {
    Event::Admitted { generation: Generation(1) }
}

fn retried() -> Event {
    Event::Retried { generation: Generation(2) }
}

fn told_to(generation: u32, done: u64, events: Vec<Event>) -> Vec<(u64, Told)> {
    instructions(&stream(events), Generation(generation), StreamVersion(done))
        .into_iter()
        .map(|pending| (pending.version.0, pending.told))
        .collect()
}

fn told_prompt(id: &str) -> Told {
    Told::Prompt(MessageId(id.into()), text())
}

#[test]
fn what_was_carried_out_is_not_told_again() {
    let events = vec![prompt("a"), admitted(), prompt("b"), Event::Interrupted {}];
    let all = vec![(1, told_prompt("a")), (3, told_prompt("b")), (4, Told::Interrupt)];
    assert_eq!(told_to(1, 0, events.clone()), all);
    assert_eq!(told_to(1, 3, events.clone()), all[2..]);
    assert_eq!(told_to(1, 4, events), []);
}

#[test]
fn answers_are_told_in_the_words_of_what_was_asked() {
    let input = |id: &str| InputId(id.into());
    let events = vec![
        admitted(),
        asked("p", InputKind::Permission),
        given("p", Answer::Always),
        asked("q", InputKind::Question),
        given("q", Answer::Answers { answers: text() }),
        asked("r", InputKind::Permission),
        given("r", Answer::TimedOut),
        asked("s", InputKind::Question),
        given("s", Answer::Reject { message: None }),
        asked("t", InputKind::Question),
        given("t", Answer::Withdrawn),
    ];
    assert_eq!(
        told_to(1, 0, events),
        [
            (3, Told::Permit(input("p"), "always", None)),
            (5, Told::Answer(input("q"), Some(text()))),
            (7, Told::Permit(input("r"), "reject", None)),
            (9, Told::Answer(input("s"), None)),
        ]
    );
}

#[test]
fn a_retried_workload_gets_the_prompts_again_but_no_answers_or_interrupts_of_the_one_before() {
    let events = vec![
        prompt("a"),
        admitted(),
        asked("p", InputKind::Permission),
        given("p", Answer::Once),
        Event::Interrupted {},
        Event::FinishRequested { cause: FinishCause::Asked },
        Event::Lost { generation: Generation(1), reason: String::new() },
        retried(),
    ];
    let told = told_to(2, 0, events.clone());
    assert_eq!(told, [(1, told_prompt("a")), (6, Told::Publish)]);
    // A run that was retried once more: the second workload is not the newest any more.
    let mut more = events;
    more.extend([Event::Interrupted {}, Event::Retried { generation: Generation(3) }]);
    assert_eq!(told_to(3, 0, more), told);
}

#[test]
fn once_it_is_to_stop_nothing_before_matters() {
    let failed = Event::TurnFailed { failure: Failure::Deadline, detail: None };
    let events = vec![prompt("a"), admitted(), prompt("b"), failed];
    assert_eq!(told_to(1, 0, events.clone()), [(4, Told::SnapshotAndStop)]);
    let mut ended = events;
    ended.push(Event::Failed { failure: Failure::Deadline, detail: None });
    assert_eq!(told_to(1, 0, ended.clone()), [(5, Told::Exit)]);
    // A pull request that is opened after the end needs no workload.
    ended.extend([
        Event::PublishRequested {},
        Event::PullRequestOpened {
            number: 1,
            url: String::new(),
            head: String::new(),
            created: true,
        },
    ]);
    assert_eq!(told_to(1, 0, ended.clone()), [(5, Told::Exit)]);
    assert_eq!(told_to(1, 5, ended), []);
}

#[test]
fn publishing_that_is_tried_again_does_not_stop_the_run() {
    let failed = |retry_at| Event::PublishFailed {
        stage: PublishStage::PullRequest,
        detail: text(),
        attempt: 1,
        retry_at,
    };
    let finish = Event::FinishRequested { cause: FinishCause::Idle };
    let events = vec![admitted(), finish, failed(Some(AT)), failed(None)];
    assert_eq!(told_to(1, 0, events[..3].to_vec()), [(2, Told::Publish)]);
    assert_eq!(told_to(1, 2, events), [(4, Told::SnapshotAndStop)]);
}
