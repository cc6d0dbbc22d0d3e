use crate::session::{Command, Event, PullState, Rejection, Session, Standing, State};

/// What happens when `command` meets a session in `state`. A repeated command yields no event.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::New, Command::Create(created)) => Ok(vec![Event::Created(created)]),
        (State::New, Command::Fork { created, from, bundle }) => {
            Ok(vec![Event::Created(created), Event::Forked { from, bundle }])
        }
        (State::Known(_), Command::Create(_) | Command::Fork { .. }) => Err(Rejection::Exists),
        (State::Known(session), command) => decide_known(session, command),
        (State::Deleted, Command::Delete | Command::EndRun { .. }) => Ok(vec![]),
        (State::Deleted, Command::ExpireBundle { digest }) => {
            Ok(vec![Event::BundleExpired { digest }])
        }
        (State::New | State::Deleted, _) => Err(Rejection::NotFound),
    }
}

fn decide_known(session: &Session, command: Command) -> Result<Vec<Event>, Rejection> {
    let archived = session.standing == Standing::Archived;
    match command {
        Command::Create(_) | Command::Fork { .. } => Err(Rejection::Exists),
        Command::Rename { title } => {
            Ok(if session.created.title == title { vec![] } else { vec![Event::Renamed { title }] })
        }
        Command::Archive => match session.active_run {
            Some(run) => Err(Rejection::RunActive(run)),
            None if archived => Ok(vec![]),
            None => Ok(vec![Event::Archived {}]),
        },
        Command::Restore => Ok(if archived { vec![Event::Restored {}] } else { vec![] }),
        Command::Delete => match session.active_run {
            Some(run) => Err(Rejection::RunActive(run)),
            None => Ok(vec![Event::Deleted {}]),
        },
        Command::StartRun { run } => match session.active_run {
            Some(active) if active == run => Ok(vec![]),
            Some(active) => Err(Rejection::RunActive(active)),
            None if archived => Err(Rejection::Archived),
            None => Ok(vec![Event::RunStarted { run }]),
        },
        Command::EndRun { run, outcome } => Ok(if session.active_run == Some(run) {
            vec![Event::RunEnded { run, outcome }]
        } else {
            vec![]
        }),
        Command::StoreBundle { run, generation, bundle } => {
            if session.active_run != Some(run) {
                Err(Rejection::NotTheActiveRun(run))
            } else if session.head.as_ref().is_some_and(|head| head.digest == bundle.digest) {
                Ok(vec![])
            } else {
                Ok(vec![Event::BundleStored { run, generation, bundle }])
            }
        }
        Command::ExpireBundle { digest } => Ok(if session.bundles.contains(&digest) {
            vec![Event::BundleExpired { digest }]
        } else {
            vec![]
        }),
        Command::ObservePullRequest { number, was, state } => {
            let seen = session.pull_request.filter(|(known, _)| *known == number);
            Ok(observed(number, seen.map_or(was, |(_, state)| state), state))
        }
    }
}

/// What became of a pull request between two looks at it.
fn observed(number: u64, was: PullState, is: PullState) -> Vec<Event> {
    use PullState::{Closed, Draft, Merged, Open};
    match (was, is) {
        (Open, Open) | (Draft, Draft) | (Merged, Merged) | (Closed, Closed) => vec![],
        (_, Merged) => vec![Event::PullRequestMerged { number }],
        (_, Closed) => vec![Event::PullRequestClosed { number }],
        (Merged | Closed, Open) => vec![Event::PullRequestReopened { number }],
        (Merged | Closed, Draft) => {
            vec![Event::PullRequestReopened { number }, Event::PullRequestDrafted { number }]
        }
        (Open, Draft) => vec![Event::PullRequestDrafted { number }],
        (Draft, Open) => vec![Event::PullRequestReadied { number }],
    }
}
