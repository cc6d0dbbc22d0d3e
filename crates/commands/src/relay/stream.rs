//! The stream: looking at it, judging it, making it again.

use async_nats::jetstream::{
    ErrorCode,
    context::GetStreamErrorKind,
    message::StreamMessage,
    stream::{Config, RawMessageError, RawMessageErrorKind, RetentionPolicy, StorageType, Stream},
};
use domain::ids::Position;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    StoreError,
    log::Epoch,
    relay::{
        Relay, STREAM,
        message::{Marks, Outgoing, subject_prefix},
    },
    store::append::signed,
};

/// Why the stream could not be looked at or mended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// NATS failed.
    #[error("the stream could not be {doing}")]
    Nats {
        /// What was being done.
        doing: &'static str,
        /// What came back.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn while_doing<E: std::error::Error + Send + Sync + 'static>(
    doing: &'static str,
) -> impl FnOnce(E) -> StreamError {
    move |error| StreamError::Nats { doing, source: Box::new(error) }
}

/// What is seen of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    ours: bool,
    first: u64,
    last: u64,
    messages: u64,
    /// The last message that is there: its sequence and, if it is the relay's, what its headers say.
    head: Option<(u64, Option<Marks>)>,
}

/// What is to be done about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is whole: go on after this position.
    Resume(Position),
    /// It was harmed: delete it, make it again, fill it.
    Remake(&'static str),
    /// It is not a copy of this log: the database was restored.
    Diverged(String),
}

/// Judges a stream. `at_head` is the log's event at the position of the stream's last message, `end` the
/// log's newest position, read after the stream was seen.
pub(super) fn judge(
    seen: Option<&Seen>,
    epoch: &Epoch,
    at_head: Option<Uuid>,
    end: Position,
) -> Verdict {
    let Some(seen) = seen else { return Verdict::Remake("there is none") };
    if !seen.ours {
        return Verdict::Remake("it was made for something else");
    }
    let (sequence, marks) = match &seen.head {
        None if seen.last == 0 => return Verdict::Resume(Position::START),
        None => return Verdict::Remake("it was wiped"),
        Some((_, None)) => return Verdict::Remake("its last message is not the relay's"),
        Some((sequence, Some(marks))) => (*sequence, marks),
    };
    if marks.epoch.counter < epoch.counter {
        return Verdict::Remake("it is of an older epoch");
    }
    if marks.epoch != *epoch {
        let found = &marks.epoch;
        return Verdict::Diverged(format!("the stream is in epoch {found}, the log in {epoch}"));
    }
    match at_head {
        None => Verdict::Diverged(format!(
            "the stream is at position {}, the log ends at {end}: the database was restored",
            marks.position
        )),
        Some(id) if id != marks.id => Verdict::Diverged(format!(
            "the stream has event {} at position {}, the log has {id}: the database was restored",
            marks.id, marks.position
        )),
        Some(_) if sequence != seen.last => Verdict::Remake("its last messages are missing"),
        Some(_) if sequence != marks.position.0 => {
            Verdict::Remake("its sequences are not the log's positions")
        }
        Some(_) if seen.first != 1 || seen.messages != seen.last => {
            Verdict::Remake("messages are missing")
        }
        Some(_) => Verdict::Resume(marks.position),
    }
}

impl Relay {
    /// Looks at the stream and judges it. The stream is looked at first: the log only grows.
    pub(super) async fn examine(
        &self,
        connection: &mut PgConnection,
        epoch: &Epoch,
    ) -> Result<Verdict, StreamError> {
        let seen = self.see().await?;
        let marks = seen.as_ref().and_then(|seen| seen.head.as_ref()?.1.as_ref());
        let position = marks.map_or(Position::START, |marks| marks.position);
        let (at_head, end) = log_at(connection, position).await?;
        Ok(judge(seen.as_ref(), epoch, at_head, end))
    }

    /// Whether the stream shows that the database was restored: why.
    pub(crate) async fn divergence(
        &self,
        connection: &mut PgConnection,
        epoch: &Epoch,
    ) -> Result<Option<String>, StreamError> {
        Ok(match self.examine(connection, epoch).await? {
            Verdict::Diverged(reason) => Some(reason),
            Verdict::Resume(_) | Verdict::Remake(_) => None,
        })
    }

    /// The greatest position up to which a stream of `epoch` and the log agree; the log's end where the
    /// stream says nothing about it.
    pub(crate) async fn agreed(
        &self,
        connection: &mut PgConnection,
        epoch: &Epoch,
        end: Position,
    ) -> Result<Position, Box<dyn std::error::Error + Send + Sync>> {
        let Some(seen) = self.see().await? else { return Ok(end) };
        let Some((_, Some(marks))) = seen.head else { return Ok(end) };
        if marks.epoch != *epoch {
            return Ok(end);
        }
        let stream = self.jetstream.get_stream_no_info(STREAM).await?;
        let mut compared = false;
        for position in (1..=end.0.min(seen.last)).rev() {
            let Ok(message) = stream.get_raw_message(position).await else { continue };
            let Some(marks) = Marks::read(&message.headers) else { continue };
            compared = true;
            if log_at(connection, marks.position).await?.0 == Some(marks.id) {
                return Ok(marks.position);
            }
        }
        Ok(if compared { Position::START } else { end })
    }

    /// Whether the stream holds exactly the positions up to this one, by its own numbers.
    pub(super) async fn is_whole(&self, position: Position) -> Result<bool, StreamError> {
        let Some(seen) = self.see().await? else { return Ok(false) };
        let first = u64::from(position != Position::START);
        Ok(seen.last == position.0
            && seen.messages == position.0
            && (seen.first == first || seen.messages == 0))
    }

    /// The stream's last sequence; 0 without a stream.
    pub(super) async fn last_sequence(&self) -> Result<u64, StreamError> {
        Ok(self.see().await?.map_or(0, |seen| seen.last))
    }

    /// Whether the message at `sequence` is this event at its position.
    pub(super) async fn holds(&self, sequence: u64, event: &Outgoing) -> bool {
        let Ok(stream) = self.jetstream.get_stream_no_info(STREAM).await else { return false };
        let Ok(message) = stream.get_raw_message(sequence).await else { return false };
        Marks::read(&message.headers)
            .is_some_and(|marks| marks.position == event.position && marks.id == event.id)
    }

    /// Deletes the stream, if it is there, and makes it: with it goes the server's table of duplicates.
    pub(super) async fn remake(&self) -> Result<(), StreamError> {
        if self.see().await?.is_some() {
            self.jetstream.delete_stream(STREAM).await.map_err(while_doing("deleted"))?;
        }
        self.jetstream.create_stream(self.config()).await.map_err(while_doing("made"))?;
        Ok(())
    }

    fn config(&self) -> Config {
        Config {
            name: STREAM.to_owned(),
            subjects: vec![format!("{}.>", subject_prefix())],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_direct: true,
            ..Config::default()
        }
    }

    async fn see(&self) -> Result<Option<Seen>, StreamError> {
        let stream = match self.jetstream.get_stream(STREAM).await {
            Ok(stream) => stream,
            Err(error) => {
                let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(answer)
                    if answer.error_code() == ErrorCode::STREAM_NOT_FOUND);
                return if missing { Ok(None) } else { Err(while_doing("looked at")(error)) };
            }
        };
        let info = stream.cached_info();
        let head = last_message(&stream).await.map_err(while_doing("read at its end"))?;
        Ok(Some(Seen {
            ours: info.config.subjects == self.config().subjects,
            first: info.state.first_sequence,
            last: info.state.last_sequence,
            messages: info.state.messages,
            head,
        }))
    }
}

/// The last message that is there: its sequence, and what its headers say. Where the last messages were
/// deleted it is searched by halving, for the server (2.9.10) does not always find the last message of a
/// subject then.
async fn last_message(stream: &Stream) -> Result<Option<(u64, Option<Marks>)>, RawMessageError> {
    let state = &stream.cached_info().state;
    let found = |message: StreamMessage| (message.sequence, Marks::read(&message.headers));
    if state.messages == 0 {
        return Ok(None);
    }
    if let Some(message) = there(stream.get_raw_message(state.last_sequence).await)? {
        return Ok(Some(found(message)));
    }
    let (mut last, mut none_from) = (None, state.last_sequence);
    let mut from = state.first_sequence;
    while from < none_from {
        let middle = from + (none_from - from) / 2;
        let next = stream.raw_message_builder().sequence(middle).next_by_subject(">");
        match there(next.send().await)? {
            Some(message) => {
                from = message.sequence + 1;
                last = Some(found(message));
            }
            None => none_from = middle,
        }
    }
    Ok(last)
}

fn there(
    answer: Result<StreamMessage, RawMessageError>,
) -> Result<Option<StreamMessage>, RawMessageError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The log's event at a position, and the log's end.
async fn log_at(
    connection: &mut PgConnection,
    position: Position,
) -> Result<(Option<Uuid>, Position), StoreError> {
    let row = sqlx::query!(
        r#"select (select event from paddock.log where position = $1) as at,
             (select coalesce(max(position), 0) from paddock.log) as "end!""#,
        signed(position.0)
    )
    .fetch_one(connection)
    .await?;
    Ok((row.at, Position(row.end.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn epoch(counter: u64) -> Epoch {
        Epoch { system_identifier: 1, timeline: 1, counter }
    }

    /// A whole stream of nine positions.
    fn whole() -> Seen {
        let marks = Marks { position: Position(9), epoch: epoch(2), id: ID };
        Seen { ours: true, first: 1, last: 9, messages: 9, head: Some((9, Some(marks))) }
    }

    fn judged(seen: &Seen) -> Verdict {
        judge(Some(seen), &epoch(2), Some(ID), Position(12))
    }

    fn is_remade(seen: &Seen) -> bool {
        matches!(judged(seen), Verdict::Remake(_))
    }

    #[test]
    fn a_whole_stream_goes_on_after_its_last_position_and_a_new_one_from_the_start() {
        assert_eq!(judged(&whole()), Verdict::Resume(Position(9)));
        let new = Seen { first: 0, last: 0, messages: 0, head: None, ..whole() };
        assert_eq!(judged(&new), Verdict::Resume(Position::START));
    }

    #[test]
    fn a_harmed_stream_is_made_again() {
        let (sequence, marks) = whole().head.unwrap();
        assert!(matches!(judge(None, &epoch(2), None, Position(12)), Verdict::Remake(_)));
        assert!(is_remade(&Seen { ours: false, ..whole() }));
        assert!(is_remade(&Seen { first: 10, messages: 0, head: None, ..whole() }), "purged");
        assert!(is_remade(&Seen { first: 4, messages: 6, ..whole() }), "purged up to 3");
        assert!(is_remade(&Seen { messages: 8, ..whole() }), "one deleted in the middle");
        assert!(is_remade(&Seen { last: 10, ..whole() }), "the last deleted");
        assert!(is_remade(&Seen { head: Some((sequence, None)), ..whole() }), "not the relay's");
        let shifted = Seen { last: 10, messages: 10, head: Some((10, marks.clone())), ..whole() };
        assert!(is_remade(&shifted), "a strange message among them");
        let older = marks.map(|marks| Marks { epoch: epoch(1), ..marks });
        assert!(is_remade(&Seen { head: Some((sequence, older)), ..whole() }), "adopted since");
    }

    #[test]
    fn a_stream_that_is_ahead_of_the_log_or_differs_from_it_halts() {
        let diverged = |verdict| matches!(verdict, Verdict::Diverged(_));
        let seen = whole();
        assert!(diverged(judge(Some(&seen), &epoch(2), None, Position(5))), "ahead");
        let other = Some(Uuid::from_u128(8));
        assert!(
            diverged(judge(Some(&seen), &epoch(2), other, Position(12))),
            "another event there"
        );
        assert!(diverged(judge(Some(&seen), &epoch(1), Some(ID), Position(12))), "a newer epoch");
        let elsewhere = Epoch { timeline: 2, ..epoch(2) };
        assert!(diverged(judge(Some(&seen), &elsewhere, Some(ID), Position(12))), "a timeline");
    }

    #[test]
    fn harm_never_hides_that_the_database_was_restored() {
        let truncated = Seen { last: 10, messages: 7, ..whole() };
        let verdict = judge(Some(&truncated), &epoch(2), None, Position(5));
        assert!(matches!(verdict, Verdict::Diverged(_)), "{verdict:?}");
    }
}
