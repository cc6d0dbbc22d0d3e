use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    ids::{Generation, InputId},
    run::{
        Answer, Command, EgressMode, Ending, Event, Failure, FinishCause, InputKind, Probe,
        PublishStage, Rejection, Run, SnapshotCause, Stage, State, Verdict,
    },
    text::TextRef,
};

/// What happens when `command` meets a run in `state`. A repeated command yields no event.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::New, Command::Request { requested, message, prompt, egress_reason: reason }) => {
            let mode = EgressMode::named(&requested.egress);
            let mut events = vec![Event::Requested(requested)];
            // Before the prompt: what the agent tries first is to find the door open.
            if mode != EgressMode::Github {
                let reason = Some(reason.ok_or(Rejection::EgressReason)?);
                events.push(Event::EgressModeChanged { mode, reason });
            }
            events.push(Event::PromptSubmitted { message, text: prompt });
            Ok(events)
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
                Stage::Ended(_) => vec![],
                _ if run.reported.made => vec![],
                _ => vec![Event::WorkloadCreated { generation, enforcement }],
            })
        }
        Command::ReportWaiting { generation, reason } => {
            current(run, generation)?;
            Ok(if is_starting(run) && run.waiting.as_ref() != Some(&reason) {
                vec![Event::WorkloadWaiting { generation, reason }]
            } else {
                vec![]
            })
        }
        Command::ReportObserved { generation, stage, text, images } => {
            current(run, generation)?;
            Ok(if run.reported.observed >= Some(stage) || run.workload_removed {
                vec![]
            } else {
                vec![Event::WorkloadObserved { generation, stage, text, images }]
            })
        }
        Command::ReportFence { generation, probes } => {
            current(run, generation)?;
            Ok(fence(run, generation, probes))
        }
        Command::ReportRestored { generation, from, git_head } => {
            current(run, generation)?;
            Ok(if is_starting(run) && !run.reported.restored {
                vec![Event::Restored { generation, from, git_head }]
            } else {
                vec![]
            })
        }
        Command::ReportReady { generation, agent_session, agent_version } => {
            current(run, generation)?;
            if !is_starting(run) {
                return Ok(vec![]);
            }
            // No proof, no run.
            if !run.reported.fence && !run.requested.accept_unenforced {
                return Err(Rejection::OutOfOrder);
            }
            Ok(vec![Event::Ready { generation, agent_session, agent_version }])
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
                Stage::Running | Stage::AwaitingInput { .. } | Stage::Idle { .. } => {
                    ending(run, Event::TurnFailed { failure, detail })
                }
                // The agent has done nothing yet: there is nothing to snapshot.
                Stage::Provisioning | Stage::Restoring => vec![Event::Failed { failure, detail }],
                Stage::Queued { .. }
                | Stage::Publishing
                | Stage::Snapshotting { .. }
                | Stage::Ended(_) => vec![],
            })
        }
        Command::ChangeEgress { mode, reason } => change_egress(run, mode, reason),
        Command::Interrupt => match run.stage {
            Stage::Running if run.interrupted.as_ref() == Some(&run.last_prompt) => Ok(vec![]),
            Stage::Running | Stage::AwaitingInput { .. } => Ok(ending(run, Event::Interrupted {})),
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
            Stage::Ended(_) | Stage::Snapshotting { ending: Ending::Cancelled } => vec![],
            Stage::Queued { .. } | Stage::Provisioning | Stage::Restoring => {
                vec![Event::CancelRequested {}, Event::Cancelled {}]
            }
            Stage::Running
            | Stage::AwaitingInput { .. }
            | Stage::Idle { .. }
            | Stage::Publishing
            | Stage::Snapshotting { .. } => ending(run, Event::CancelRequested {}),
        }),
        Command::Expire { failure } => Ok(match run.stage {
            Stage::Ended(_) | Stage::Snapshotting { .. } => vec![],
            Stage::Queued { .. } | Stage::Provisioning | Stage::Restoring => {
                vec![Event::Failed { failure, detail: None }]
            }
            Stage::Running
            | Stage::AwaitingInput { .. }
            | Stage::Idle { .. }
            | Stage::Publishing => ending(run, Event::TurnFailed { failure, detail: None }),
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
                Stage::Ended(_) if run.publish_requested && stage == PublishStage::PullRequest => {
                    vec![Event::PublishFailed { stage, detail, attempt, retry_at }]
                }
                _ => vec![],
            })
        }
        Command::RequestPublish => match run.stage {
            Stage::Ended(_) if run.publish_requested => Ok(vec![]),
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
            let known = run.snapshot.as_ref();
            let mut events = if known == Some(&(generation, digest.clone(), cause)) {
                vec![]
            } else {
                vec![Event::SnapshotStored { generation, digest, cause }]
            };
            if let (Stage::Snapshotting { ending }, SnapshotCause::Final) = (&run.stage, cause) {
                events.push(ended(ending));
            }
            Ok(events)
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
                _ => ending(run, Event::Failed { failure, detail }),
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

/// Whether the workload is there, or will be, and its agent does not answer yet. The adapter's report that
/// it was made may come after the first reports of the sidecar in it.
fn is_starting(run: &Run) -> bool {
    matches!(run.stage, Stage::Provisioning | Stage::Restoring)
}

/// The fence is proven by a target that could not be reached, and disproven by one that was: while it
/// starts or at any later time.
fn fence(run: &Run, generation: Generation, probes: Vec<Probe>) -> Vec<Event> {
    let open = probes.iter().any(|probe| probe.verdict == Verdict::Reached);
    let shut =
        probes.iter().any(|probe| matches!(probe.verdict, Verdict::Refused | Verdict::TimedOut));
    let holds = run.requested.accept_unenforced || (shut && !open);
    let failed = || ending(run, Event::Failed { failure: Failure::Sandbox, detail: None });
    match run.stage {
        Stage::Queued { .. } | Stage::Ended(_) => vec![],
        Stage::Provisioning | Stage::Restoring if !holds => failed(),
        Stage::Provisioning | Stage::Restoring if run.reported.fence => vec![],
        Stage::Provisioning | Stage::Restoring => vec![Event::FenceVerified { generation, probes }],
        Stage::Running
        | Stage::AwaitingInput { .. }
        | Stage::Idle { .. }
        | Stage::Publishing
        | Stage::Snapshotting { .. } => {
            if open && !run.requested.accept_unenforced {
                failed()
            } else {
                vec![]
            }
        }
    }
}

/// Less may be reached at any time; more only while there is an agent to reach it.
fn change_egress(
    run: &Run,
    mode: EgressMode,
    reason: Option<TextRef>,
) -> Result<Vec<Event>, Rejection> {
    if matches!(run.stage, Stage::Ended(_)) {
        return Err(Rejection::Ended);
    }
    if run.egress == mode {
        return Ok(vec![]);
    }
    if mode != EgressMode::Github {
        takes_prompts(run)?;
        if reason.is_none() {
            return Err(Rejection::EgressReason);
        }
    }
    Ok(vec![Event::EgressModeChanged { mode, reason }])
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
    // Whoever prompts again, or interrupts, attends.
    let linger = if run.prompts > 1 || run.interrupted.is_some() {
        run.requested.attended_linger_seconds
    } else {
        run.requested.linger_seconds
    };
    let mut events = ending(run, Event::Idle { until: now + seconds(linger) });
    if linger == 0 {
        events.push(Event::FinishRequested { cause: FinishCause::Idle });
    }
    events
}

/// The event that ends what the agent waits for, after all that it waits for was withdrawn.
fn ending(run: &Run, event: Event) -> Vec<Event> {
    let waiting = match &run.stage {
        Stage::AwaitingInput { inputs } => Some(inputs),
        _ => None,
    };
    waiting
        .into_iter()
        .flat_map(BTreeMap::keys)
        .map(|input| Event::InputGiven { input: input.clone(), answer: Answer::Withdrawn })
        .chain([event])
        .collect()
}

fn finish(run: &Run, cause: FinishCause) -> Result<Vec<Event>, Rejection> {
    match &run.stage {
        Stage::Idle { .. } => Ok(vec![Event::FinishRequested { cause }]),
        // A prompt came just before the time was over.
        Stage::Running | Stage::AwaitingInput { .. } if cause == FinishCause::Idle => Ok(vec![]),
        Stage::Running | Stage::AwaitingInput { .. } => {
            Ok(ending(run, Event::FinishRequested { cause }))
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
        _ => {
            let mut events = ending(run, lost);
            events.push(if run.retries < run.requested.max_retries {
                Event::Retried { generation: generation.next() }
            } else {
                Event::Failed { failure: Failure::Lost, detail: None }
            });
            events
        }
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
