use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    ids::{Generation, InputId},
    run::{
        Answer, Command, Ending, Event, Failure, FinishCause, InputKind, PublishStage, Rejection,
        Run, SnapshotCause, Stage, State, Verdict,
    },
};

/// What happens when `command` meets a run in `state`. A repeated command yields no event.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::New, Command::Request { requested, message, prompt }) => {
            Ok(vec![Event::Requested(requested), Event::PromptSubmitted { message, text: prompt }])
        }
        (State::New, _) => Err(Rejection::NotFound),
        (State::Known(_), Command::Request { .. }) => Err(Rejection::Exists),
        (State::Known(run), command) => decide_known(run, command),
    }
}

fn decide_known(run: &Run, command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Request { .. } => Err(Rejection::Exists),
        Command::Queue { reason } => match &run.stage {
            Stage::Queued { reason: Some(known) } if *known == reason => Ok(vec![]),
            Stage::Queued { .. } => Ok(vec![Event::Queued { reason }]),
            _ => Ok(vec![]),
        },
        Command::Admit => Ok(match run.stage {
            Stage::Queued { .. } => vec![Event::Admitted { generation: Generation::FIRST }],
            _ => vec![],
        }),
        Command::ReportWorkloadCreated { generation, enforcement } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Provisioning => vec![Event::WorkloadCreated { generation, enforcement }],
                _ => vec![],
            })
        }
        Command::ReportFence { generation, probes } => {
            current(run, generation)?;
            let open = probes.iter().any(|probe| probe.verdict == Verdict::Reached);
            let mut events = match run.stage {
                Stage::Restoring => vec![Event::FenceVerified { generation, probes }],
                _ => return Ok(vec![]),
            };
            if open && !run.requested.accept_unenforced {
                events = vec![Event::Failed { failure: Failure::Sandbox, detail: None }];
            }
            Ok(events)
        }
        Command::ReportRestored { generation, from, git_head } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Restoring => vec![Event::Restored { generation, from, git_head }],
                _ => vec![],
            })
        }
        Command::ReportReady { generation, agent_session, agent_version } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Restoring => {
                    vec![Event::Ready { generation, agent_session, agent_version }]
                }
                _ => vec![],
            })
        }
        Command::Prompt { message, text } => {
            takes_prompts(run)?;
            if run.last_prompt == message {
                return Ok(vec![]);
            }
            Ok(vec![Event::PromptSubmitted { message, text }])
        }
        Command::ReportTurnStarted { generation, message } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Idle { .. } => vec![Event::TurnStarted { message }],
                _ => vec![],
            })
        }
        Command::ReportTurnEnded { generation, message, now } => {
            current(run, generation)?;
            Ok(match &run.stage {
                Stage::Running | Stage::AwaitingInput { .. } if run.last_prompt == message => {
                    turn_ended(run, now)
                }
                _ => vec![],
            })
        }
        Command::ReportTurnFailed { generation, failure, detail } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Restoring
                | Stage::Running
                | Stage::AwaitingInput { .. }
                | Stage::Idle { .. } => vec![Event::TurnFailed { failure, detail }],
                _ => vec![],
            })
        }
        Command::Interrupt => match run.stage {
            Stage::Running | Stage::AwaitingInput { .. } => Ok(vec![Event::Interrupted {}]),
            Stage::Idle { .. } => Ok(vec![]),
            Stage::Queued { .. } | Stage::Provisioning | Stage::Restoring => Err(Rejection::NoTurn),
            Stage::Publishing | Stage::Snapshotting { .. } => Err(Rejection::Ending),
            Stage::Ended(_) => Err(Rejection::Ended),
        },
        Command::ReportInputRequired { generation, input, kind, detail, now } => {
            current(run, generation)?;
            let until = now + seconds(run.requested.input_timeout_seconds);
            Ok(match &run.stage {
                Stage::AwaitingInput { inputs } if inputs.contains_key(&input) => vec![],
                Stage::Running | Stage::AwaitingInput { .. } => {
                    vec![Event::InputRequired { input, kind, detail, until }]
                }
                _ => vec![],
            })
        }
        Command::ReportInputWithdrawn { generation, input } => {
            current(run, generation)?;
            Ok(match waiting(run, &input) {
                Some(_) => vec![Event::InputGiven { input, answer: Answer::Withdrawn }],
                None => vec![],
            })
        }
        Command::GiveInput { input, answer } => give_input(run, input, answer),
        Command::Finish { cause } => finish(run, cause),
        Command::Cancel => Ok(match &run.stage {
            Stage::Ended(_) => vec![],
            Stage::Snapshotting { ending: Ending::Cancelled } => vec![],
            Stage::Queued { .. } => vec![Event::CancelRequested {}, Event::Cancelled {}],
            Stage::Provisioning
            | Stage::Restoring
            | Stage::Running
            | Stage::AwaitingInput { .. }
            | Stage::Idle { .. }
            | Stage::Publishing
            | Stage::Snapshotting { .. } => vec![Event::CancelRequested {}],
        }),
        Command::Expire { failure } => Ok(match run.stage {
            Stage::Ended(_) | Stage::Snapshotting { .. } => vec![],
            Stage::Queued { .. } => vec![Event::Failed { failure, detail: None }],
            _ => vec![Event::TurnFailed { failure, detail: None }],
        }),
        Command::ReportPushed { generation, head, commits } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Publishing if run.pushed.as_ref() != Some(&head) => {
                    vec![Event::BranchPushed { head, commits }]
                }
                _ => vec![],
            })
        }
        Command::ReportNothingToPublish { generation } => {
            current(run, generation)?;
            Ok(match run.stage {
                Stage::Publishing => vec![Event::PublishSkipped {}],
                _ => vec![],
            })
        }
        Command::ReportPublishFailed { stage, detail, retry_at } => {
            let attempt = match stage {
                PublishStage::Push => 1,
                PublishStage::PullRequest => run.pull_request_failures + 1,
            };
            Ok(match run.stage {
                Stage::Publishing => {
                    vec![Event::PublishFailed { stage, detail, attempt, retry_at }]
                }
                Stage::Ended(_) if stage == PublishStage::PullRequest => {
                    vec![Event::PublishFailed { stage, detail, attempt, retry_at }]
                }
                _ => vec![],
            })
        }
        Command::RequestPublish => match run.stage {
            Stage::Ended(_) if run.pushed.is_some() && run.pull_request.is_none() => {
                Ok(vec![Event::PublishRequested {}])
            }
            _ => Err(Rejection::NothingToPublish),
        },
        Command::RecordPullRequest { number, url, head, created } => Ok(match run.stage {
            _ if run.pull_request == Some(number) => vec![],
            Stage::Publishing | Stage::Ended(_) => {
                vec![Event::PullRequestOpened { number, url, head, created }]
            }
            _ => vec![],
        }),
        Command::ReportUsage { generation, usage } => {
            current(run, generation)?;
            Ok(if run.usage == usage { vec![] } else { vec![Event::UsageReported { usage }] })
        }
        Command::ReportSnapshot { generation, digest, cause } => {
            current(run, generation)?;
            if matches!(run.stage, Stage::Ended(_)) {
                return Err(Rejection::Ended);
            }
            let stored = Event::SnapshotStored { generation, digest, cause };
            Ok(match (&run.stage, cause) {
                (Stage::Snapshotting { ending }, SnapshotCause::Final) => {
                    vec![stored, ended(ending)]
                }
                _ => vec![stored],
            })
        }
        Command::AbandonSnapshot => Ok(match &run.stage {
            Stage::Snapshotting { ending } => vec![ended(ending)],
            _ => vec![],
        }),
        Command::ReportLost { generation, reason } => {
            current(run, generation)?;
            Ok(lost(run, generation, reason))
        }
        Command::ReportRefused { generation, failure, detail } => {
            current(run, generation)?;
            Ok(match &run.stage {
                Stage::Ended(_) => vec![],
                Stage::Snapshotting { ending } => vec![ended(ending)],
                _ => vec![Event::Failed { failure, detail }],
            })
        }
        Command::ReportWorkloadRemoved { generation, output_digest } => {
            current(run, generation)?;
            Ok(if run.workload_removed {
                vec![]
            } else {
                vec![Event::WorkloadRemoved { generation, output_digest }]
            })
        }
    }
}

fn current(run: &Run, reported: Generation) -> Result<(), Rejection> {
    match run.generation {
        Some(current) if current == reported => Ok(()),
        Some(current) => Err(Rejection::Superseded { reported, current }),
        None => Err(Rejection::OutOfOrder),
    }
}

fn takes_prompts(run: &Run) -> Result<(), Rejection> {
    match run.stage {
        Stage::Ended(_) => Err(Rejection::Ended),
        Stage::Publishing | Stage::Snapshotting { .. } => Err(Rejection::Ending),
        _ if run.finishing => Err(Rejection::Ending),
        _ => Ok(()),
    }
}

fn waiting(run: &Run, input: &InputId) -> Option<InputKind> {
    let Stage::AwaitingInput { inputs } = &run.stage else { return None };
    inputs.get(input).map(|(kind, _)| *kind)
}

fn give_input(run: &Run, input: InputId, answer: Answer) -> Result<Vec<Event>, Rejection> {
    let Some(kind) = waiting(run, &input) else {
        takes_prompts(run)?;
        return Err(Rejection::NoSuchInput(input));
    };
    let fits = match answer {
        Answer::Once | Answer::Always => kind == InputKind::Permission,
        Answer::Answers { .. } => kind == InputKind::Question,
        Answer::Reject { .. } | Answer::TimedOut | Answer::Withdrawn => true,
    };
    if fits {
        Ok(vec![Event::InputGiven { input, answer }])
    } else {
        Err(Rejection::WrongAnswer(input))
    }
}

fn turn_ended(run: &Run, now: DateTime<Utc>) -> Vec<Event> {
    let linger = if run.prompts > 1 {
        run.requested.attended_linger_seconds
    } else {
        run.requested.linger_seconds
    };
    let mut events = withdraw_all(match &run.stage {
        Stage::AwaitingInput { inputs } => Some(inputs),
        _ => None,
    });
    events.push(Event::Idle { until: now + seconds(linger) });
    if linger == 0 {
        events.push(Event::FinishRequested { cause: FinishCause::Idle });
    }
    events
}

fn withdraw_all(inputs: Option<&BTreeMap<InputId, (InputKind, DateTime<Utc>)>>) -> Vec<Event> {
    inputs
        .into_iter()
        .flat_map(BTreeMap::keys)
        .map(|input| Event::InputGiven { input: input.clone(), answer: Answer::Withdrawn })
        .collect()
}

fn finish(run: &Run, cause: FinishCause) -> Result<Vec<Event>, Rejection> {
    match &run.stage {
        Stage::Idle { .. } | Stage::Running => Ok(vec![Event::FinishRequested { cause }]),
        Stage::AwaitingInput { inputs } => {
            let mut events = withdraw_all(Some(inputs));
            events.push(Event::FinishRequested { cause });
            Ok(events)
        }
        Stage::Publishing => Ok(vec![]),
        Stage::Queued { .. } | Stage::Provisioning | Stage::Restoring => {
            if run.finishing {
                Ok(vec![])
            } else {
                Err(Rejection::NoTurn)
            }
        }
        Stage::Snapshotting { .. } => Err(Rejection::Ending),
        Stage::Ended(_) => Err(Rejection::Ended),
    }
}

fn lost(run: &Run, generation: Generation, reason: String) -> Vec<Event> {
    let lost = Event::Lost { generation, reason };
    match &run.stage {
        Stage::Ended(_) | Stage::Queued { .. } => vec![],
        // Nothing is left to do that needs a workload: what the last snapshot holds must do.
        Stage::Snapshotting { ending } => vec![lost, ended(ending)],
        _ if run.retries < run.requested.max_retries => {
            vec![lost, Event::Retried { generation: generation.next() }]
        }
        _ => vec![lost, Event::Failed { failure: Failure::Lost, detail: None }],
    }
}

fn ended(ending: &Ending) -> Event {
    match ending {
        Ending::Succeeded { changes } => Event::Succeeded { changes: *changes },
        Ending::Failed { failure, detail } => {
            Event::Failed { failure: *failure, detail: detail.clone() }
        }
        Ending::Cancelled => Event::Cancelled {},
    }
}

fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
