//! A log of our own making, and files of it.

use audit::{Checkpoint, SigningKey, VerifyingKey, export};
use chrono::DateTime;
use domain::{
    ids::{CorrelationId, EventId},
    leaf::Entry,
    text::commitment,
    tree::Tree,
};
use uuid::Uuid;

pub(crate) const ORIGIN: &str = "example.org/log";

pub(crate) fn key(number: u8) -> SigningKey {
    let text = SigningKey::generate(ORIGIN, [number; 32]).expect("a key");
    SigningKey::parse(&text).expect("a key")
}

/// What a log is to be like.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) size: u64,
    /// How many positions between checkpoints.
    pub(crate) every: u64,
    /// The position that says something else than it would.
    pub(crate) rewritten: Option<u64>,
    /// The position from which another key signs, after its event, and whether the one before signs that too.
    pub(crate) rotated: Option<(u64, bool)>,
    pub(crate) keys: [u8; 2],
}

impl Log {
    pub(crate) fn of(size: u64) -> Self {
        Self { size, every: 5, rewritten: None, rotated: None, keys: [1, 2] }
    }

    /// The export, line by line, and the position that each line belongs to.
    pub(crate) fn lines(&self) -> (Vec<String>, Vec<u64>) {
        let (mut out, mut of, mut tree) = (vec![], vec![0], Tree::new());
        let (old, new) = (key(self.keys[0]), key(self.keys[1]));
        let keys: Vec<VerifyingKey> = match self.rotated {
            None => vec![old.verifying().clone()],
            Some(_) => vec![old.verifying().clone(), new.verifying().clone()],
        };
        export::header(&mut out, ORIGIN, self.size, &keys);
        for position in 1..=self.size {
            let (stream, name, body) = self.event(position, &old, &new);
            let entry = Entry {
                stream: &stream,
                version: position,
                id: EventId(Uuid::from_u128(position.into())),
                name,
                time: DateTime::from_timestamp_micros(
                    1_700_000_000_000_000 + position.cast_signed(),
                )
                .unwrap(),
                actor: "user:00000000-0000-0000-0000-000000000001",
                schema: 1,
                body: body.as_bytes(),
                // As if the first ones were of before it was covered.
                correlation: (position > 3)
                    .then(|| CorrelationId(Uuid::from_u128(position.into()))),
            };
            export::event(&mut out, position, &entry).unwrap();
            tree.push(entry.leaf());
            for (id, _) in export::references(body.as_bytes()) {
                if position == ERASED {
                    export::erased(&mut out, id);
                } else {
                    let (salt, text) = text(position, self.rewritten == Some(position));
                    export::text(&mut out, id, &salt, &text);
                }
            }
            if position.is_multiple_of(self.every) || position == self.size {
                let checkpoint = Checkpoint {
                    origin: ORIGIN.to_owned(),
                    size: position,
                    root: tree.root(),
                    epoch: "1-1-1".to_owned(),
                };
                let signers = match self.rotated {
                    Some((at, both)) if position >= at => {
                        let first = both && position < at + self.every;
                        if first { vec![&old, &new] } else { vec![&new] }
                    }
                    _ => vec![&old],
                };
                export::checkpoint(&mut out, &checkpoint.sign(&signers));
            }
            let lines = out.split(|byte| *byte == b'\n').count() - 1;
            of.resize(lines, position);
        }
        let text = String::from_utf8(out).unwrap();
        (text.lines().map(|line| format!("{line}\n")).collect(), of)
    }

    pub(crate) fn file(&self) -> String {
        self.lines().0.concat()
    }

    fn event(
        &self,
        position: u64,
        old: &SigningKey,
        new: &SigningKey,
    ) -> (String, &'static str, String) {
        let log = format!("log-{}", Uuid::nil());
        if position == ERASURE {
            let body = format!(r#"{{"texts":["{}"]}}"#, Uuid::from_u128(u128::from(ERASED)));
            return (log, "log.text.erased", body);
        }
        if self.rotated.is_some_and(|(at, _)| position == at) {
            let body = format!(r#"{{"from":"{}","to":"{}"}}"#, old.verifying(), new.verifying());
            return (log, "log.key.rotated", body);
        }
        let body = if position.is_multiple_of(3) {
            let (salt, text) = text(position, self.rewritten == Some(position));
            let commit = commitment(&salt, text.as_bytes());
            let id = Uuid::from_u128(position.into());
            format!(r#"{{"message":"m{position}","text":{{"ref":"{id}","commit":"{commit}"}}}}"#)
        } else {
            let words =
                if self.rewritten == Some(position) { "rewritten" } else { "as it was: ü\\n" };
            format!(r#"{{"generation":{position},"words":"{words}"}}"#)
        };
        (format!("run-{}", Uuid::from_u128(9)), "run.admitted", body)
    }
}

/// The position whose text was erased, and that of the event that says so.
pub(crate) const ERASED: u64 = 6;
pub(crate) const ERASURE: u64 = 11;

fn text(position: u64, rewritten: bool) -> ([u8; 16], String) {
    let words = if rewritten { "something else" } else { "words \"of\" a person\n" };
    ([position.to_le_bytes()[0]; 16], format!("{words} {position}"))
}
