//! Streams of a run for the planners' tests.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Actor, Event as AnyEvent, Part, Recorded},
    ids::{CorrelationId, EventId, RunId, SessionId, StreamVersion, TextId, UserId},
    run::{Event, Requested},
    stream::StreamId,
    text::TextRef,
};
use uuid::Uuid;

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

pub(super) fn text() -> TextRef {
    TextRef { reference: TextId(Uuid::nil()), commit: String::new() }
}

pub(super) fn requested() -> Requested {
    Requested {
        session: SessionId(Uuid::nil()),
        owner: UserId(Uuid::nil()),
        repo: "acme/widget".parse().unwrap(),
        base: "main".parse().unwrap(),
        branch: "paddock/fix".parse().unwrap(),
        issue: None,
        profile: "default".to_owned(),
        egress: "github".to_owned(),
        accept_unenforced: false,
        from: None,
        draft: false,
        deadline_seconds: 3600,
        linger_seconds: 0,
        attended_linger_seconds: 600,
        input_timeout_seconds: 600,
        link_timeout_seconds: 1800,
        memory_mib: 2048,
        disk_mib: 2048,
        max_retries: 2,
        harness: domain::run::Harness::default(),
        credential: None,
    }
}

/// Events, each at its second.
pub(super) fn recorded(events: Vec<(i64, Event)>) -> Vec<Recorded> {
    (1..)
        .zip(events)
        .map(|(version, (second, event))| Recorded {
            id: EventId(Uuid::nil()),
            stream: StreamId::from(RunId(Uuid::nil())),
            version: StreamVersion(version),
            actor: Actor::System(Part::Operator),
            time: at(second),
            correlation: CorrelationId(Uuid::nil()),
            event: AnyEvent::Run(event),
        })
        .collect()
}
