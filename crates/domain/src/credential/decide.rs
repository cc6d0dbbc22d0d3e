use crate::credential::{Command, Event, Rejection, State};

/// What a command comes to.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::New, Command::Register(registered)) => Ok(vec![Event::Registered(registered)]),
        (State::Active(_) | State::Revoked(_), Command::Register(_)) => Err(Rejection::Exists),
        (State::New, Command::Rotate { .. } | Command::Check(_) | Command::Revoke) => {
            Err(Rejection::NotFound)
        }
        (State::Active(credential), Command::Rotate { value }) => {
            if credential.value == value {
                return Ok(vec![]);
            }
            Ok(vec![Event::Rotated { generation: credential.generation.next(), value }])
        }
        // What is said of a value that was replaced meanwhile says nothing of the one that counts.
        (State::Active(credential), Command::Check(checked)) => {
            Ok(if checked.generation == credential.generation {
                vec![Event::Verified(checked)]
            } else {
                vec![]
            })
        }
        (State::Active(_), Command::Revoke) => Ok(vec![Event::Revoked {}]),
        (State::Revoked(_), Command::Rotate { .. } | Command::Check(_)) => Err(Rejection::Revoked),
        (State::Revoked(_), Command::Revoke) => Ok(vec![]),
    }
}
