use std::{fmt, str::FromStr};

use domain::ids::{Position, RunId, StreamVersion};

/// What can be watched, each with the place to go on from; without one, from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// All sessions, after a position.
    Sessions(Option<Position>),
    /// A run, after a version of its stream.
    Run(RunId, Option<StreamVersion>),
    /// A run's output, after an item.
    Output(RunId, Option<u64>),
    /// A run's diff.
    Changes(RunId),
    /// How the installation's parts are.
    System,
}

/// Why a text is no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a topic is sessions, run:<id>, output:<id>, changes:<id> or system, the first three with @<place>"
)]
pub(super) struct NotATopic;

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(text: &str) -> Result<Self, NotATopic> {
        let (name, place) = match text.split_once('@') {
            Some((name, place)) => (name, Some(number(place)?)),
            None => (text, None),
        };
        let (kind, id) = match name.split_once(':') {
            Some((kind, id)) => (kind, Some(id.parse::<RunId>().map_err(|_| NotATopic)?)),
            None => (name, None),
        };
        match (kind, id, place) {
            ("sessions", None, at) => Ok(Self::Sessions(at.map(Position))),
            ("run", Some(run), at) => Ok(Self::Run(run, at.map(StreamVersion))),
            ("output", Some(run), at) => Ok(Self::Output(run, at)),
            ("changes", Some(run), None) => Ok(Self::Changes(run)),
            ("system", None, None) => Ok(Self::System),
            _ => Err(NotATopic),
        }
    }
}

/// A place fits into the database's numbers.
fn number(text: &str) -> Result<u64, NotATopic> {
    let place: i64 = text.parse().map_err(|_| NotATopic)?;
    u64::try_from(place).map_err(|_| NotATopic)
}

/// Without its place: what its messages are told apart by.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sessions(_) => f.write_str("sessions"),
            Self::Run(run, _) => write!(f, "run:{run}"),
            Self::Output(run, _) => write!(f, "output:{run}"),
            Self::Changes(run) => write!(f, "changes:{run}"),
            Self::System => f.write_str("system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_with_their_place_and_written_without() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let run: RunId = id.parse().unwrap();
        for (text, topic, name) in [
            ("sessions".to_owned(), Topic::Sessions(None), "sessions".to_owned()),
            ("sessions@0".to_owned(), Topic::Sessions(Some(Position(0))), "sessions".to_owned()),
            (format!("run:{id}@3"), Topic::Run(run, Some(StreamVersion(3))), format!("run:{id}")),
            (format!("output:{id}@9"), Topic::Output(run, Some(9)), format!("output:{id}")),
            (format!("changes:{id}"), Topic::Changes(run), format!("changes:{id}")),
            ("system".to_owned(), Topic::System, "system".to_owned()),
        ] {
            assert_eq!(text.parse(), Ok(topic), "{text}");
            assert_eq!(topic.to_string(), name);
        }
        for text in [
            "",
            "session",
            "sessions@",
            "sessions@-1",
            "sessions@9223372036854775808",
            "sessions@1@2",
            "run",
            "run:x",
            "output:",
            "system@1",
            &format!("changes:{id}@1"),
            &format!("sessions:{id}"),
        ] {
            assert_eq!(text.parse::<Topic>(), Err(NotATopic), "{text}");
        }
    }
}
