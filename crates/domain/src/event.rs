//! Events as the log holds them: the closed set of bodies, and the envelope around each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    actor, binding,
    ids::{CorrelationId, EventId, Generation, Position, RunId, StreamVersion, UserId},
    log, run, session, settings,
    stream::StreamId,
};

/// The body of any event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Of a session's stream.
    Session(session::Event),
    /// Of a run's stream.
    Run(run::Event),
    /// Of an actor's stream.
    Actor(actor::Event),
    /// Of the log's own stream.
    Log(log::Event),
    /// Of the settings' stream.
    Settings(settings::Event),
    /// Of a role binding's stream.
    Binding(binding::Event),
}

impl From<session::Event> for Event {
    fn from(event: session::Event) -> Self {
        Self::Session(event)
    }
}

impl From<run::Event> for Event {
    fn from(event: run::Event) -> Self {
        Self::Run(event)
    }
}

impl From<actor::Event> for Event {
    fn from(event: actor::Event) -> Self {
        Self::Actor(event)
    }
}

impl From<binding::Event> for Event {
    fn from(event: binding::Event) -> Self {
        Self::Binding(event)
    }
}

impl From<log::Event> for Event {
    fn from(event: log::Event) -> Self {
        Self::Log(event)
    }
}

impl From<settings::Event> for Event {
    fn from(event: settings::Event) -> Self {
        Self::Settings(event)
    }
}

/// Who caused an event. Opaque: names and addresses are not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A person, by a session of the page or an API token of theirs.
    User(UserId),
    /// A run's own sidecar, by the identity of that generation.
    Pod(RunId, Generation),
    /// A part of the control plane, acting by a rule.
    System(Part),
    /// Whoever applied an object to the cluster, as the API server authenticated them; nobody where it does not
    /// say. Never a person who signed in, whatever the names are.
    Kubernetes(Option<UserId>),
}

impl Actor {
    /// Whether somebody decided it, rather than a workload or a rule.
    #[must_use]
    pub const fn is_somebody(self) -> bool {
        matches!(self, Self::User(_) | Self::Kubernetes(_))
    }
}

/// The parts of the control plane that act by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Lets queued runs start when there is room.
    Admission,
    /// Turns desired runs into workloads and reports what became of them.
    Adapter,
    /// Ends what has waited or run for too long.
    Deadlines,
    /// Opens and reads back pull requests.
    Publisher,
    /// Lets go of what nothing will read again.
    Retention,
    /// An operator at the command line of the installation itself.
    Operator,
    /// Signs checkpoints of the log.
    Signer,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 7] = [
        Self::Admission,
        Self::Adapter,
        Self::Deadlines,
        Self::Publisher,
        Self::Retention,
        Self::Operator,
        Self::Signer,
    ];

    /// The permanent wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Adapter => "adapter",
            Self::Deadlines => "deadlines",
            Self::Publisher => "publisher",
            Self::Retention => "retention",
            Self::Operator => "operator",
            Self::Signer => "signer",
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Pod(run, generation) => write!(f, "pod:{run}/{generation}"),
            Self::System(part) => write!(f, "system:{}", part.as_str()),
            Self::Kubernetes(Some(id)) => write!(f, "kubernetes:{id}"),
            Self::Kubernetes(None) => f.write_str("kubernetes:unknown"),
        }
    }
}

/// Why a text does not name an actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor is user:<uuid>, pod:<run>/<generation>, system:<part> or kubernetes:<uuid>")]
pub struct NotAnActor;

impl std::str::FromStr for Actor {
    type Err = NotAnActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(NotAnActor)?;
        match kind {
            "user" => rest.parse().map(Self::User).map_err(|_| NotAnActor),
            "pod" => {
                let (run, generation) = rest.split_once('/').ok_or(NotAnActor)?;
                let run = run.parse().map_err(|_| NotAnActor)?;
                let generation = generation.parse().map_err(|_| NotAnActor)?;
                Ok(Self::Pod(run, Generation(generation)))
            }
            "system" => Part::ALL
                .into_iter()
                .find(|part| part.as_str() == rest)
                .map(Self::System)
                .ok_or(NotAnActor),
            "kubernetes" if rest == "unknown" => Ok(Self::Kubernetes(None)),
            "kubernetes" => {
                rest.parse().map(|id| Self::Kubernetes(Some(id))).map_err(|_| NotAnActor)
            }
            _ => Err(NotAnActor),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An event that was committed to its stream, decoded and upcast. Its position comes later.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The event's id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: StreamVersion,
    /// Who caused it.
    pub actor: Actor,
    /// When, by the clock of the process that appended it; microseconds.
    pub time: DateTime<Utc>,
    /// The command it belongs to.
    pub correlation: CorrelationId,
    /// What happened.
    pub event: Event,
}

/// A recorded event with its place in the log: what projections read.
#[derive(Clone, Debug, PartialEq)]
pub struct Positioned {
    /// Its place in the log.
    pub position: Position,
    /// The event.
    pub recorded: Recorded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_as_it_is_written() {
        let user = UserId(uuid::Uuid::from_u128(7));
        for actor in [
            Actor::User(user),
            Actor::Pod(RunId(user.0), Generation(3)),
            Actor::System(Part::Adapter),
            Actor::Kubernetes(Some(user)),
            Actor::Kubernetes(None),
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        // Somebody on the cluster is nobody who signed in, whatever the id.
        assert_ne!(Actor::Kubernetes(Some(user)).to_string(), Actor::User(user).to_string());
        for text in ["kubernetes:", "kubernetes:nobody", "kubernetes:UNKNOWN", "user:unknown"] {
            assert_eq!(text.parse::<Actor>(), Err(NotAnActor), "{text}");
        }
    }
}
