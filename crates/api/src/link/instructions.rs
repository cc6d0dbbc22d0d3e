//! Which instructions a run's stream holds for its sidecar: a pure function of the events.

use std::collections::HashMap;

use domain::{
    event::{Event as AnyEvent, Recorded},
    ids::{Generation, InputId, MessageId, StreamVersion},
    run::{Answer, EgressMode, Event, InputKind},
    text::TextRef,
};

/// An instruction whose texts are still to be looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The version of the event it comes from.
    pub version: StreamVersion,
    /// What the sidecar is told.
    pub told: Told,
}

/// What a sidecar is told, by reference to texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Give this to the agent.
    Prompt(MessageId, TextRef),
    /// Answer a permission: `once`, `always` or `reject`, with words.
    Permit(InputId, &'static str, Option<TextRef>),
    /// Answer a question; none refuses it.
    Answer(InputId, Option<TextRef>),
    /// Abort the turn.
    Interrupt,
    /// Leave by the gateway's door for this mode.
    Egress(EgressMode),
    /// Publish.
    Publish,
    /// Take the last snapshot.
    SnapshotAndStop,
    /// Stop the agent and exit.
    Exit,
}

/// The instructions of `events` (a run's stream from its beginning) after the version `done`, for the
/// workload of `generation`.
///
/// A retried workload gets the prompts of the whole stream again (they are idempotent by message id),
/// but not what was meant for an older workload: answers to its questions, and interrupts. Once the run
/// is to stop, what came before no longer matters.
pub fn instructions<'a>(
    events: impl IntoIterator<Item = &'a Recorded>,
    generation: Generation,
    done: StreamVersion,
) -> Vec<Pending> {
    let mut asked = HashMap::new();
    let mut pending = vec![];
    let mut begun = false;
    for recorded in events {
        let AnyEvent::Run(event) = &recorded.event else { continue };
        match event {
            Event::Admitted { generation: started } | Event::Retried { generation: started } => {
                begun = *started == generation;
            }
            Event::InputRequired { input, kind, .. } => {
                asked.insert(input.clone(), *kind);
            }
            _ => {}
        }
        let Some(told) = told(event, begun, &asked) else { continue };
        if matches!(told, Told::SnapshotAndStop | Told::Exit) {
            pending.clear();
        }
        let exits = told == Told::Exit;
        if recorded.version > done {
            pending.push(Pending { version: recorded.version, told });
        }
        if exits {
            // What comes after, such as a pull request asked for later, needs no workload.
            break;
        }
    }
    pending
}

fn told(event: &Event, begun: bool, asked: &HashMap<InputId, InputKind>) -> Option<Told> {
    match event {
        Event::PromptSubmitted { message, text } => {
            Some(Told::Prompt(message.clone(), text.clone()))
        }
        Event::InputGiven { input, answer } if begun => {
            answer_to(input.clone(), *asked.get(input)?, answer)
        }
        Event::Interrupted {} if begun => Some(Told::Interrupt),
        Event::EgressModeChanged { mode, .. } => Some(Told::Egress(*mode)),
        Event::FinishRequested { .. } => Some(Told::Publish),
        Event::CancelRequested {}
        | Event::TurnFailed { .. }
        | Event::PublishSkipped {}
        | Event::PublishFailed { retry_at: None, .. }
        | Event::PullRequestOpened { .. } => Some(Told::SnapshotAndStop),
        Event::Succeeded { .. } | Event::Failed { .. } | Event::Cancelled {} => Some(Told::Exit),
        Event::InputGiven { .. }
        | Event::Interrupted {}
        | Event::Requested(_)
        | Event::Queued { .. }
        | Event::Admitted { .. }
        | Event::WorkloadCreated { .. }
        | Event::WorkloadWaiting { .. }
        | Event::WorkloadObserved { .. }
        | Event::FenceVerified { .. }
        | Event::Restored { .. }
        | Event::Ready { .. }
        | Event::TurnStarted { .. }
        | Event::Idle { .. }
        | Event::InputRequired { .. }
        | Event::CredentialUsed { .. }
        | Event::BranchPushed { .. }
        | Event::PublishFailed { retry_at: Some(_), .. }
        | Event::PublishRequested {}
        | Event::UsageReported { .. }
        | Event::SnapshotStored { .. }
        | Event::Lost { .. }
        | Event::Retried { .. }
        | Event::WorkloadRemoved { .. } => None,
    }
}

fn answer_to(input: InputId, kind: InputKind, answer: &Answer) -> Option<Told> {
    match (kind, answer) {
        // The agent took it back, or is about to be stopped.
        (_, Answer::Withdrawn) => None,
        (InputKind::Permission, Answer::Once) => Some(Told::Permit(input, "once", None)),
        (InputKind::Permission, Answer::Always) => Some(Told::Permit(input, "always", None)),
        (InputKind::Permission, Answer::Reject { message }) => {
            Some(Told::Permit(input, "reject", message.clone()))
        }
        (InputKind::Permission, Answer::TimedOut | Answer::Answers { .. }) => {
            Some(Told::Permit(input, "reject", None))
        }
        (InputKind::Question, Answer::Answers { answers }) => {
            Some(Told::Answer(input, Some(answers.clone())))
        }
        (
            InputKind::Question,
            Answer::Once | Answer::Always | Answer::Reject { .. } | Answer::TimedOut,
        ) => Some(Told::Answer(input, None)),
    }
}

#[cfg(test)]
mod tests;
