//! Carrying out what the control plane says. Each may come a second time: after a kill of this process, and
//! all of them again in a new generation.

use std::time::Duration;

use domain::{
    ids::MessageId,
    run::{EgressMode, SnapshotCause},
};
use link::{Fact, Instruct};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Next, Work, held::Before, lock};
use crate::{
    SidecarError,
    growing::Growing,
    publish::{commit, push},
};

/// What the agent is told when its turn was cut short by the loss of its workload.
const CONTINUE: &str = "Your work was interrupted because its machine was lost. The workspace is as it was at the \
                        last snapshot. Look at what is there and go on with the task.";

impl Work {
    pub(super) async fn carry_out(&mut self, instruct: &Instruct) -> Result<Next, SidecarError> {
        if matches!(instruct, Instruct::Exit) {
            return Ok(Next::Exit);
        }
        let result = match instruct {
            // The last snapshot is tried even where the agent is given up: what it did is worth keeping.
            Instruct::SnapshotAndStop => {
                return self.last_snapshot().await.map(|()| Next::Continue);
            }
            _ if self.given_up => return Ok(Next::Continue),
            Instruct::Prompt { message, text } => self.prompt(message, text).await,
            Instruct::Permit { input, reply, message } => {
                self.agent.reply(&input.0, reply, message.as_deref()).await
            }
            Instruct::AnswerQuestion { input, answers: Some(answers) } => {
                self.agent.answer(&input.0, answers).await
            }
            Instruct::AnswerQuestion { input, answers: None } => {
                self.agent.reject_question(&input.0).await
            }
            Instruct::Interrupt => self.interrupt().await,
            Instruct::Egress { mode } => self.leave_by(*mode).await,
            Instruct::Publish => self.publish().await,
            Instruct::Exit => Ok(()),
        };
        match result {
            Ok(()) => Ok(Next::Continue),
            Err(error @ (SidecarError::Spool(_) | SidecarError::NotWanted(_))) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "an instruction could not be carried out");
                // Either the agent's side is gone, and that is said; or this one step failed.
                if self.answers().await? {
                    self.give_up(&error)?;
                }
                Ok(Next::Continue)
            }
        }
    }

    async fn prompt(&mut self, message: &MessageId, text: &str) -> Result<(), SidecarError> {
        let Some(session) = self.journal.notes.agent_session.clone() else { return Ok(()) };
        let listed = self.agent.messages(&session).await?;
        let known = listed.iter().any(|listed| listed.info["id"] == *message.0);
        if !known {
            self.agent.prompt(&session, message, text).await?;
        }
        self.journal.note(|notes| {
            notes.prompt = Some((message.clone(), message.clone()));
            notes.restored_prompt = known;
            notes.turn_reported = false;
            notes.interrupted = false;
        })?;
        self.cut_since = None;
        Ok(())
    }

    /// The newest prompt's turn was cut short: the agent is told to go on, by a message of its own.
    pub(super) async fn continue_turn(&mut self, session: &str) -> Result<(), SidecarError> {
        let Some((prompt, standing_in)) = self.journal.notes.prompt.clone() else { return Ok(()) };
        let seed = Sha256::digest(format!("{standing_in} {}", self.config.generation));
        let mut entropy = [0; 16];
        entropy.copy_from_slice(&seed[..16]);
        let message = MessageId::new(chrono::Utc::now(), Uuid::from_bytes(entropy));
        self.agent.prompt(session, &message, CONTINUE).await?;
        self.cut_since = None;
        self.journal.note(|notes| {
            notes.prompt = Some((prompt, message));
            notes.restored_prompt = false;
        })?;
        Ok(())
    }

    async fn leave_by(&mut self, mode: EgressMode) -> Result<(), SidecarError> {
        self.journal.note(|notes| notes.egress = mode)?;
        self.use_door().await
    }

    async fn interrupt(&mut self) -> Result<(), SidecarError> {
        let Some(session) = self.journal.notes.agent_session.clone() else { return Ok(()) };
        self.journal.note(|notes| notes.interrupted = true)?;
        self.agent.abort(&session).await
    }

    /// Ends the turn, if one is under way, so that nothing changes under the next step.
    async fn end_turn(&mut self) -> Result<(), SidecarError> {
        let Some(session) = self.journal.notes.agent_session.clone() else { return Ok(()) };
        for _ in 0..50 {
            if !self.agent.status().await?.contains_key(&session) {
                break;
            }
            self.agent.abort(&session).await?;
            sleep(Duration::from_millis(100)).await;
        }
        // What was not listed by now will not be.
        *lock(&self.growing) = Growing::default();
        let messages = self.agent.messages(&session).await?;
        self.shared.with(|spool| spool.follow(&messages))?;
        self.journal.note(|notes| notes.turn_reported = true)?;
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), SidecarError> {
        self.end_turn().await?;
        self.keep_changes().await?;
        let fact = match commit(&self.harness, &self.job).await? {
            Ok(committed) => {
                // What is pushed is in a snapshot first: a workload that follows this one pushes on top of it.
                if committed || self.changed || self.held.is_some() {
                    self.snapshot(SnapshotCause::Turn, Before::Push).await?;
                }
                push(&self.harness, &self.job).await?
            }
            Err(failed) => failed,
        };
        self.changed = true;
        self.say(fact)
    }

    async fn last_snapshot(&mut self) -> Result<(), SidecarError> {
        if self.journal.notes.final_snapshot {
            return Ok(());
        }
        let done = if self.journal.notes.restored {
            if !self.given_up {
                let _ = self.end_turn().await;
            }
            self.snapshot(SnapshotCause::Final, Before::End).await
        } else {
            Err(SidecarError::Nonsense("the repository was never in place".to_owned()))
        };
        match done {
            Ok(()) => {}
            Err(error @ SidecarError::Spool(_)) => return Err(error),
            Err(error) => self.say(Fact::SnapshotAbandoned { detail: error.to_string() })?,
        }
        Ok(self.journal.note(|notes| notes.final_snapshot = true)?)
    }
}
