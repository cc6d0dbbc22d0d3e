//! Looking at the agent: its message list is the truth; events only say when to look.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    ids::{InputId, MessageId},
    run::{InputKind, SnapshotCause, Usage},
};
use link::Fact;
use serde_json::Value;
use tokio::time::Instant;

use super::{Work, held::Before, lock, start::usage_of};
use crate::{
    SidecarError,
    opencode::{Listed, SessionStatus},
    turn::{Turn, turn},
};

/// A turn that looks cut short for this long is.
const CUT: Duration = Duration::from_secs(3);
/// The most bytes of what the agent asks.
const MAX_DETAIL: usize = 16 * 1024;

impl Work {
    /// Follows the output and reports what changed.
    pub(super) async fn look(&mut self) -> Result<(), SidecarError> {
        let Some(session) = self.journal.notes.agent_session.clone() else { return Ok(()) };
        if self.given_up || self.journal.notes.final_snapshot {
            return Ok(());
        }
        match self.look_at(&session).await {
            Err(SidecarError::Harness(_) | SidecarError::Step(_) | SidecarError::Nonsense(_)) => {
                self.is_alive().await.map(drop)
            }
            other => other,
        }
    }

    /// Passes on what is new in the agent's list, with what it says and does not list yet.
    pub(super) fn follow(&self, mut messages: Vec<Listed>) -> Result<(), SidecarError> {
        lock(&self.growing).overlay(&mut messages);
        Ok(self.shared.with(|spool| spool.follow(&messages))?)
    }

    /// Passes on what the agent said since, where that is all that happened.
    pub(super) fn pass_on(&self) -> Result<(), SidecarError> {
        if self.given_up || self.journal.notes.final_snapshot {
            return Ok(());
        }
        Ok(self.shared.with(|spool| spool.grow(&lock(&self.growing)))?)
    }

    async fn look_at(&mut self, session: &str) -> Result<(), SidecarError> {
        let (permissions, questions) =
            tokio::try_join!(self.agent.permissions(), self.agent.questions())?;
        // After the asks: one whose session has stopped is dead, though the agent keeps it for ever.
        let status = self.agent.status().await?;
        // An abort that came before the agent took up the prompt stopped nothing: it is said until it holds.
        if self.journal.notes.interrupted && status.contains_key(session) {
            self.agent.abort(session).await?;
        }
        let permissions = of_working_sessions(permissions, &status);
        let questions = of_working_sessions(questions, &status);
        // After the status: an end that it tells of is in the list.
        let messages = self.agent.messages(session).await?;
        self.follow(messages.clone())?;
        self.asked(&permissions, &questions)?;
        let Some((prompt, standing_in)) = self.journal.notes.prompt.clone() else { return Ok(()) };
        if self.journal.notes.turn_reported {
            return Ok(());
        }
        self.changed = true;
        let asks = !permissions.is_empty() || !questions.is_empty();
        let interrupted = self.journal.notes.interrupted;
        let restored = self.journal.notes.restored_prompt;
        let status = status.get(session);
        let stands = turn(&standing_in, &messages, status, asks, interrupted, restored);
        if stands != Turn::CutShort {
            self.cut_since = None;
        }
        match stands {
            Turn::UnderWay => self.snapshot_if_due().await,
            Turn::CutShort => {
                let since = *self.cut_since.get_or_insert_with(Instant::now);
                if since.elapsed() < CUT {
                    Ok(())
                } else if restored {
                    self.continue_turn(session).await
                } else {
                    // The agent stopped by itself: what it asked for was refused.
                    self.end_of_turn(session, prompt).await
                }
            }
            Turn::Ended => self.end_of_turn(session, prompt).await,
            Turn::Failed { failure, words } => {
                let _ = self.agent.abort(session).await;
                self.report_usage(session).await?;
                self.say(Fact::Failed { failure, detail: bounded(words) })?;
                self.turn_is_reported()
            }
        }
    }

    async fn end_of_turn(&mut self, session: &str, prompt: MessageId) -> Result<(), SidecarError> {
        self.report_usage(session).await?;
        self.snapshot(SnapshotCause::Turn, Before::Anything).await?;
        self.keep_changes().await?;
        self.say(Fact::TurnEnded { message: prompt })?;
        self.turn_is_reported()
    }

    fn turn_is_reported(&mut self) -> Result<(), SidecarError> {
        Ok(self.journal.note(|notes| notes.turn_reported = true)?)
    }

    /// Reports what the agent asks, once, and what it no longer asks.
    fn asked(&mut self, permissions: &[Value], questions: &[Value]) -> Result<(), SidecarError> {
        let now: Vec<(InputId, InputKind, &Value)> = permissions
            .iter()
            .map(|asked| (asked, InputKind::Permission))
            .chain(questions.iter().map(|asked| (asked, InputKind::Question)))
            .filter_map(|(asked, kind)| {
                Some((InputId(plain_id(asked["id"].as_str()?)?), kind, asked))
            })
            .collect();
        let gone: Vec<InputId> = self
            .journal
            .notes
            .asked
            .iter()
            .filter(|known| !now.iter().any(|(input, ..)| input == *known))
            .cloned()
            .collect();
        for (input, kind, asked) in &now {
            if !self.journal.notes.asked.contains(input) {
                self.say(Fact::InputRequired {
                    input: input.clone(),
                    kind: *kind,
                    detail: small((*asked).clone()),
                })?;
            }
        }
        for input in &gone {
            self.say(Fact::InputWithdrawn { input: input.clone() })?;
        }
        let asked = now.into_iter().map(|(input, ..)| input).collect();
        Ok(self.journal.note(|notes| notes.asked = asked)?)
    }

    async fn report_usage(&self, session: &str) -> Result<(), SidecarError> {
        let session = self.agent.session(session).await?;
        let (now, before) = (usage_of(&session), self.journal.notes.usage_before);
        self.say(Fact::Usage {
            usage: Usage {
                input_tokens: now.input_tokens.saturating_sub(before.input_tokens),
                output_tokens: now.output_tokens.saturating_sub(before.output_tokens),
                reasoning_tokens: now.reasoning_tokens.saturating_sub(before.reasoning_tokens),
                cached_tokens: now.cached_tokens.saturating_sub(before.cached_tokens),
                cost_micro_usd: now.cost_micro_usd.saturating_sub(before.cost_micro_usd),
            },
        })
    }

    async fn snapshot_if_due(&mut self) -> Result<(), SidecarError> {
        let every = Duration::from_secs(u64::from(self.job.snapshot_interval_seconds));
        if self.changed && self.last_snapshot.elapsed() > every {
            return self.snapshot(SnapshotCause::Interval, Before::Anything).await;
        }
        Ok(())
    }
}

/// What still waits for an answer. An abort leaves what was asked in the agent's list, and nobody waits for it.
fn of_working_sessions(
    mut asked: Vec<Value>,
    status: &BTreeMap<String, SessionStatus>,
) -> Vec<Value> {
    asked.retain(|asked| asked["sessionID"].as_str().is_none_or(|of| status.contains_key(of)));
    asked
}

/// An id as the agent makes them; anything else is not passed on.
fn plain_id(id: &str) -> Option<String> {
    let plain =
        id.len() <= 100 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    plain.then(|| id.to_owned())
}

fn bounded(mut words: String) -> String {
    if words.len() > MAX_DETAIL {
        let mut end = MAX_DETAIL;
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        words.truncate(end);
    }
    words
}

/// What the agent asks, or a note that it was too long to keep.
fn small(asked: Value) -> Value {
    if asked.to_string().len() <= MAX_DETAIL {
        return asked;
    }
    serde_json::json!({ "id": asked["id"], "truncated": true })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_stopped_session_asked_waits_for_nobody() {
        let asked = vec![
            json!({ "id": "per_1", "sessionID": "ses_stopped" }),
            json!({ "id": "per_2", "sessionID": "ses_at_work" }),
        ];
        let status = BTreeMap::from([("ses_at_work".to_owned(), SessionStatus::Busy)]);
        let left = of_working_sessions(asked, &status);
        assert_eq!(left, [json!({ "id": "per_2", "sessionID": "ses_at_work" })]);
    }
}
