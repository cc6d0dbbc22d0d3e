use crate::settings::{
    Command, DEFAULT_PROFILE, Event, Rejection, State, checked_hosts, checked_name,
    rejection::Fault,
};

/// What happens when `command` meets the settings in `state`. A repeated command yields no event, and one that
/// is wrong anywhere changes nothing.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::ChangeLimits(limits) => {
            valid(limits.iter().flat_map(super::Limits::faults).collect())?;
            Ok(if state.limits == limits { vec![] } else { vec![Event::LimitsChanged { limits }] })
        }
        Command::ChangeAllowList(hosts) => {
            let hosts = hosts.map(|hosts| checked_hosts(&hosts)).transpose();
            let hosts = hosts.map_err(Rejection::Invalid)?;
            Ok(if state.allow_list == hosts {
                vec![]
            } else {
                vec![Event::AllowListChanged { hosts }]
            })
        }
        Command::ChangeProfile { name, profile } => {
            let mut faults: Vec<Fault> = checked_name(&name).into_iter().collect();
            faults.extend(profile.faults());
            valid(faults)?;
            Ok(if state.profiles.get(&name) == Some(&Some(profile.clone())) {
                vec![]
            } else {
                vec![Event::ProfileChanged { name, profile }]
            })
        }
        Command::RemoveProfile { name, .. } if name == DEFAULT_PROFILE => {
            Err(Rejection::DefaultProfile)
        }
        Command::RemoveProfile { name, configured } => match state.profiles.get(&name) {
            Some(None) => Ok(vec![]),
            None if !configured || checked_name(&name).is_some() => {
                Err(Rejection::NoSuchProfile(name))
            }
            Some(Some(_)) | None => Ok(vec![Event::ProfileRemoved { name }]),
        },
        Command::ChangeRetention(retention) => {
            valid(retention.iter().flat_map(super::Retention::faults).collect())?;
            Ok(if state.retention == retention {
                vec![]
            } else {
                vec![Event::RetentionChanged { retention }]
            })
        }
    }
}

fn valid(faults: Vec<Fault>) -> Result<(), Rejection> {
    if faults.is_empty() { Ok(()) } else { Err(Rejection::Invalid(faults)) }
}
