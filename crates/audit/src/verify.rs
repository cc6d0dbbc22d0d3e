//! Whether the file of an export holds: line by line, with little memory, of the file alone.

mod lines;
mod older;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::{self, BufRead},
};

use domain::{text::commitment, tree::Tree};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::lines::{Line, Lines};
pub use self::older::Older;
use crate::{
    Hash, SignedCheckpoint, VerifyingKey,
    checkpoint::CheckpointError,
    export::{EventLine, FORMAT, Header, TextLine, VERSION, references},
};

/// What a file is verified against.
#[derive(Default)]
pub struct Against {
    /// The log's key, as the reviewer knows it.
    pub key: Option<VerifyingKey>,
    /// Something older of the same log.
    pub older: Option<Older>,
}

/// A file that holds.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The newest of its checkpoints.
    pub checkpoint: SignedCheckpoint,
    /// The key that signed that.
    pub signed_by: VerifyingKey,
    /// Whether that was compared with a key that the reviewer knows, rather than with one that the file names.
    pub key_known: bool,
    /// The keys that signed, the oldest first.
    pub keys: Vec<VerifyingKey>,
    /// How many checkpoints it has.
    pub checkpoints: u64,
    /// How many texts, each as committed to.
    pub texts: u64,
    /// How many texts are erased, each by an event of the log.
    pub erased: u64,
    /// The size of the older one that it goes on from, where one was given.
    pub extends: Option<u64>,
}

/// Why a file does not hold.
#[derive(Debug)]
pub enum Failure {
    /// It, or what it is to be verified against, cannot be read as what it should be.
    Unreadable(String),
    /// It does not hold.
    Broken(Finding),
}

/// What does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line of the file, from 1.
    pub line: u64,
    /// The positions that it is about: one, or those between what was signed.
    pub positions: std::ops::RangeInclusive<u64>,
    /// What is wrong.
    pub what: Broken,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says what it is")]
pub enum Broken {
    #[error("the first line is not that of such a file")]
    Header,
    #[error("the line is not in its canonical form")]
    Form,
    #[error("position {found} where {expected} belongs")]
    Position { expected: u64, found: u64 },
    #[error("the body is not the one that was recorded")]
    Body,
    #[error("the leaf is not that of what was recorded")]
    Leaf,
    #[error("a text is not the one that the event committed to, or is missing")]
    Text,
    #[error("text {0} is missing, and no event of the log erased it")]
    NotErased(Uuid),
    #[error("the line does not belong there")]
    Misplaced,
    #[error("the checkpoint is not signed by the keys of the file")]
    Signature,
    #[error("the checkpoint is of another log or size")]
    Checkpoint,
    #[error("what was signed has another root")]
    Root,
    #[error("the file is cut off")]
    Cut,
    #[error("the file goes on after its end")]
    Longer,
    #[error("it is not signed by the key that was given")]
    Key,
    #[error("a key signs that no earlier one handed over to")]
    Handover,
    #[error("the older one has another event there")]
    Differs,
    #[error("the older one had {0} positions: the log was rolled back")]
    RolledBack(u64),
    #[error("the older one is not signed by a key of this log")]
    OtherLog,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.positions.start(), self.positions.end());
        if first >= last {
            write!(f, "position {first} (line {}): {}", self.line, self.what)
        } else {
            write!(f, "positions {first} to {last} (line {}): {}", self.line, self.what)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => f.write_str(why),
            Self::Broken(finding) => finding.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Verifies a file. `progress` is told how many positions were read, of how many.
pub fn verify(
    file: impl BufRead,
    against: Against,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verdict, Failure> {
    let older = match against.older {
        None => None,
        Some(older) => Some(older.open(against.key.as_ref())?),
    };
    let mut lines = Lines::new(file);
    let header = header(&mut lines)?;
    let mut file = File::new(header, against.key.as_ref(), older)
        .map_err(|what| broken(&lines, 0, 0, what))?;
    while let Some(line) = lines.next()? {
        let done = file.line(line);
        if let Err((positions, what)) = done {
            return Err(Failure::Broken(Finding { line: lines.number(), positions, what }));
        }
        if file.tree.size().is_multiple_of(10_000) {
            progress(file.tree.size(), file.size);
        }
    }
    let end = lines.number();
    file.end().map_err(|(positions, what)| Failure::Broken(Finding { line: end, positions, what }))
}

fn broken(lines: &Lines<impl BufRead>, first: u64, last: u64, what: Broken) -> Failure {
    Failure::Broken(Finding { line: lines.number(), positions: first..=last, what })
}

fn header(lines: &mut Lines<impl BufRead>) -> Result<Header, Failure> {
    let unreadable =
        || Failure::Unreadable("line 1: it is not an export of a Paddock's audit log".to_owned());
    let begin = format!("{{\"format\":\"{FORMAT}\",");
    match lines.first()? {
        Some(line) if line.starts_with(begin.as_bytes()) => {
            match lines::canonical::<Header>(line) {
                Some(header) if header.version == VERSION && header.size > 0 => Ok(header),
                Some(header) if header.version > VERSION => Err(Failure::Unreadable(format!(
                    "the file has format version {}; this paddock reads version {VERSION}",
                    header.version
                ))),
                _ => Err(broken(lines, 0, 0, Broken::Header)),
            }
        }
        _ => Err(unreadable()),
    }
}

type Positions = std::ops::RangeInclusive<u64>;
type Step<T = ()> = Result<T, (Positions, Broken)>;

/// A file as far as it was read.
struct File {
    origin: String,
    size: u64,
    keys: Vec<VerifyingKey>,
    key_known: bool,
    older: Option<older::Reading>,
    tree: Tree,
    /// The keys that what was signed can be believed by.
    trusted: Vec<usize>,
    /// The keys that signed something.
    used: HashSet<usize>,
    /// Handed over, from one key to another, at a position that nothing signed covers yet.
    handed: Vec<(usize, usize)>,
    /// The texts of the newest event that have not come yet, the first last.
    awaited: Vec<(Uuid, String)>,
    /// Erased, as the file says, at which position.
    missing: HashMap<Uuid, u64>,
    /// Erased, as events say.
    erased: HashSet<Uuid>,
    /// Up to where the roots are as signed.
    signed: u64,
    last: Option<SignedCheckpoint>,
    checkpoints: u64,
    texts: u64,
}

impl File {
    fn new(
        header: Header,
        key: Option<&VerifyingKey>,
        older: Option<older::Reading>,
    ) -> Result<Self, Broken> {
        let keys: Result<Vec<_>, _> =
            header.keys.iter().map(|key| VerifyingKey::parse(key)).collect();
        let keys = keys.map_err(|_| Broken::Header)?;
        if keys.is_empty() || keys.iter().any(|key| key.name() != header.origin) {
            return Err(Broken::Header);
        }
        let at = |known: &dyn Fn(&VerifyingKey) -> bool| keys.iter().position(known);
        let first = match (key, &older) {
            (Some(key), _) => at(&|it| it == key).ok_or(Broken::Key)?,
            (None, Some(older)) => {
                at(&|it| older.checkpoint().is_signed_by(it)).ok_or(Broken::OtherLog)?
            }
            (None, None) => 0,
        };
        if let Some(older) = &older
            && !keys.iter().any(|key| older.checkpoint().is_signed_by(key))
        {
            return Err(Broken::OtherLog);
        }
        Ok(Self {
            origin: header.origin,
            size: header.size,
            keys,
            key_known: key.is_some(),
            older,
            tree: Tree::new(),
            trusted: vec![first],
            used: HashSet::new(),
            handed: vec![],
            awaited: vec![],
            missing: HashMap::new(),
            erased: HashSet::new(),
            signed: 0,
            last: None,
            checkpoints: 0,
            texts: 0,
        })
    }

    /// The position that was read last.
    fn here(&self) -> Positions {
        let here = self.tree.size();
        here..=here
    }

    fn line(&mut self, line: Line<'_>) -> Step {
        let complete = self.awaited.is_empty();
        match line {
            Line::Event(_) | Line::Checkpoint(_) if !complete => Err((self.here(), Broken::Text)),
            Line::Event(event) => self.event(&event),
            Line::Checkpoint(note) => self.checkpoint(&note.checkpoint),
            Line::Text(text) => self.text(&text),
            Line::Erased(erased) => match self.awaited.pop() {
                Some((id, _)) if id == erased.erased => {
                    self.missing.entry(id).or_insert(self.tree.size());
                    Ok(())
                }
                Some(_) => Err((self.here(), Broken::Text)),
                None => Err((self.here(), Broken::Misplaced)),
            },
            // What it was to be is not known: it is what comes after the last position.
            Line::Other => {
                let next = self.tree.size() + u64::from(complete && self.tree.size() < self.size);
                Err((next..=next, Broken::Form))
            }
        }
    }

    fn event(&mut self, event: &EventLine<'_>) -> Step {
        let position = self.tree.size() + 1;
        let at = |what| (position..=position, what);
        if event.position != position {
            return Err(at(Broken::Position { expected: position, found: event.position }));
        }
        if position > self.size {
            return Err(at(Broken::Longer));
        }
        if *event.entry.body_hash != hex::encode(Sha256::digest(event.body.as_bytes())) {
            return Err(at(Broken::Body));
        }
        let entry = serde_json::to_vec(&event.entry).map_err(|_| at(Broken::Form))?;
        let leaf: Hash = Sha256::new().chain_update([0]).chain_update(&entry).finalize().into();
        if *event.leaf != hex::encode(leaf) {
            return Err(at(Broken::Leaf));
        }
        self.tree.push(leaf);
        if let Some(older) = &mut self.older
            && !older.agrees(position, leaf, &self.tree)
        {
            let first = if older.is_by_leaf() { position } else { 1 };
            return Err((first..=position, Broken::Differs));
        }
        self.awaited = references(event.body.as_bytes());
        self.awaited.reverse();
        if event.entry.stream.starts_with("log-") {
            self.of_log(&event.entry.name, &event.body);
        }
        Ok(())
    }

    /// What the log says of itself.
    fn of_log(&mut self, name: &str, body: &str) {
        #[derive(Deserialize)]
        struct Erased {
            texts: Vec<Uuid>,
        }
        #[derive(Deserialize)]
        struct Rotated {
            from: String,
            to: String,
        }
        match name {
            "log.text.erased" => {
                if let Ok(body) = serde_json::from_str::<Erased>(body) {
                    self.erased.extend(body.texts);
                }
            }
            "log.key.rotated" => {
                let at = |key: &str| self.keys.iter().position(|it| it.as_str() == key);
                if let Ok(body) = serde_json::from_str::<Rotated>(body)
                    && let (Some(from), Some(to)) = (at(&body.from), at(&body.to))
                {
                    self.handed.push((from, to));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, line: &TextLine<'_>) -> Step {
        let Some((id, commit)) = self.awaited.pop() else {
            return Err((self.here(), Broken::Misplaced));
        };
        let salt = hex::decode(&*line.salt).ok().and_then(|salt| <[u8; 16]>::try_from(salt).ok());
        let holds = salt.is_some_and(|salt| {
            hex::encode(salt) == line.salt && commitment(&salt, line.text.as_bytes()) == commit
        });
        if id != line.text_id || !holds {
            return Err((self.here(), Broken::Text));
        }
        self.texts += 1;
        Ok(())
    }

    fn checkpoint(&mut self, note: &str) -> Step {
        let size = self.tree.size();
        // Between what was signed before and this.
        let since = (self.signed + 1).min(size)..=size;
        let signed = SignedCheckpoint::parse(note).map_err(|error| {
            let what = match error {
                CheckpointError::NotANote => Broken::Signature,
                CheckpointError::NotACheckpoint => Broken::Checkpoint,
            };
            (size..=size, what)
        })?;
        let says = signed.checkpoint();
        if !signed.is_signed_by_none_but(&self.keys) {
            return Err((size..=size, Broken::Signature));
        }
        if says.origin != self.origin || says.size != size || size == 0 {
            return Err((size..=size, Broken::Checkpoint));
        }
        if says.root != self.tree.root() {
            return Err((since, Broken::Root));
        }
        self.hand_over(&signed);
        self.signed = size;
        self.checkpoints += 1;
        self.last = Some(signed);
        Ok(())
    }

    /// A key that is trusted hands over to another by an event and by signing one checkpoint with it.
    fn hand_over(&mut self, signed: &SignedCheckpoint) {
        let signs = |key: usize| signed.is_signed_by(&self.keys[key]);
        let mut begun = vec![];
        for (from, to) in &self.handed {
            if self.trusted.contains(from) && signs(*from) && signs(*to) {
                begun.push(*to);
            }
        }
        self.trusted.extend(begun);
        self.used.extend((0..self.keys.len()).filter(|key| signed.is_signed_by(&self.keys[*key])));
    }

    fn end(self) -> Result<Verdict, (Positions, Broken)> {
        let here = self.here();
        let size = self.tree.size();
        let cut = size < self.size || !self.awaited.is_empty() || self.signed != size;
        let Some(checkpoint) = self.last.filter(|_| !cut) else {
            return Err((size..=self.size, Broken::Cut));
        };
        let missing = self.missing.iter().filter(|(id, _)| !self.erased.contains(*id));
        if let Some((id, at)) = missing.min_by_key(|(id, at)| (**at, **id)) {
            return Err((*at..=*at, Broken::NotErased(*id)));
        }
        if self.used.len() != self.keys.len() {
            return Err((0..=0, Broken::Header));
        }
        let mut extends = None;
        if let Some(older) = &self.older {
            let before = older.checkpoint().checkpoint().size;
            if before > size {
                return Err((size + 1..=before, Broken::RolledBack(before)));
            }
            extends = Some(before);
        }
        let signed_by =
            self.trusted.iter().rev().find(|key| checkpoint.is_signed_by(&self.keys[**key]));
        let signed_by = match signed_by {
            Some(key) => self.keys[*key].clone(),
            None if self.key_known => return Err((here, Broken::Key)),
            None => return Err((here, Broken::Handover)),
        };
        Ok(Verdict {
            checkpoint,
            signed_by,
            key_known: self.key_known,
            keys: self.keys,
            checkpoints: self.checkpoints,
            texts: self.texts,
            erased: self.missing.len() as u64,
            extends,
        })
    }
}
