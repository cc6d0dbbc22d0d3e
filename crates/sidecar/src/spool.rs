//! What was said and is not acknowledged yet, on disk: a sidecar that is killed goes on where it was.
//!
//! One JSON line a frame. A line that was cut short by a kill is dropped: it was never sent. Nothing is
//! fsynced: the spool must outlive the process, not the machine.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use link::{Answered, Body, Fact, Item, MAX_OUTPUT_BYTES};
use serde::{Deserialize, Serialize};

use crate::{
    follow::Sent,
    growing::{self, Growing},
    opencode::Listed,
};

/// The most unacknowledged bytes. When it is full nothing more is followed, and nothing is lost: what the
/// agent said is in its own list, and is followed again when there is room.
const MAX_PENDING: usize = 64 * 1024 * 1024;
/// The file is made anew, without what is acknowledged, when it is longer than this.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The spool of one generation.
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    length: u64,
    next: u64,
    acked: u64,
    pending: VecDeque<(u64, Body)>,
    pending_bytes: usize,
    sent: Sent,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Checkpoint { next: u64, acked: u64, sent: Sent },
    Frame { seq: u64, body: Body },
}

impl Spool {
    /// Opens the spool in `dir`, as the last process left it.
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("spool.jsonl");
        let mut spool = Self {
            file: OpenOptions::new().create(true).append(true).open(&path)?,
            path,
            length: 0,
            next: 1,
            acked: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            sent: Sent::default(),
        };
        spool.read()?;
        Ok(spool)
    }

    /// Adds a fact.
    pub(crate) fn fact(&mut self, fact: Fact) -> std::io::Result<()> {
        self.add(Body::Fact(fact))
    }

    /// Adds the branch's diff as it is now.
    pub(crate) fn changes(&mut self, changes: Answered) -> std::io::Result<()> {
        self.add(Body::Changes(changes))
    }

    /// Adds what is new in the agent's message list.
    pub(crate) fn follow(&mut self, messages: &[Listed]) -> std::io::Result<()> {
        self.output(|sent| sent.advance(messages))
    }

    /// Adds what is new of texts that are not in the list yet.
    pub(crate) fn grow(&mut self, growing: &Growing) -> std::io::Result<()> {
        self.output(|sent| {
            let texts = growing.texts();
            texts.flat_map(|(part, text)| sent.grow(part, growing::FIELD, text)).collect()
        })
    }

    fn output(&mut self, new: impl FnOnce(&mut Sent) -> Vec<Item>) -> std::io::Result<()> {
        if self.pending_bytes > MAX_PENDING {
            return Ok(());
        }
        let mut sent = self.sent.clone();
        let mut batch = Vec::new();
        let mut size = 0;
        for item in new(&mut sent) {
            let bytes = serde_json::to_vec(&item)?.len();
            if size + bytes > MAX_OUTPUT_BYTES && !batch.is_empty() {
                self.add(Body::Output { items: std::mem::take(&mut batch) })?;
                size = 0;
            }
            size += bytes;
            batch.push(item);
        }
        if !batch.is_empty() {
            self.add(Body::Output { items: batch })?;
        }
        self.sent = sent;
        Ok(())
    }

    /// The first frame after `seq` that is not acknowledged.
    pub(crate) fn after(&self, seq: u64) -> Option<&(u64, Body)> {
        self.pending.iter().find(|(number, _)| *number > seq)
    }

    /// Frames up to `seq` are stored.
    pub(crate) fn acknowledge(&mut self, seq: u64) -> std::io::Result<()> {
        self.acked = self.acked.max(seq);
        while self.pending.front().is_some_and(|(number, _)| *number <= seq) {
            if let Some((_, body)) = self.pending.pop_front() {
                self.pending_bytes = self.pending_bytes.saturating_sub(weight(&body));
            }
        }
        // A server that knows of more than this spool: its disk was lost. Numbers go on behind.
        self.next = self.next.max(self.acked + 1);
        if self.length > MAX_FILE { self.compact() } else { Ok(()) }
    }

    /// Whether everything said is stored.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    fn add(&mut self, body: Body) -> std::io::Result<()> {
        let seq = self.next;
        let line = Line::Frame { seq, body };
        self.write(&line)?;
        if let Line::Frame { body, .. } = line {
            self.pending_bytes += weight(&body);
            self.pending.push_back((seq, body));
        }
        self.next += 1;
        Ok(())
    }

    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(File::open(&self.path)?);
        let mut whole = 0;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes)?;
            let Ok(line) = serde_json::from_slice::<Line>(&bytes) else { break };
            whole += read as u64;
            match line {
                Line::Checkpoint { next, acked, sent } => {
                    (self.next, self.acked, self.sent) = (next, acked, sent);
                }
                Line::Frame { seq, body } => {
                    if let Body::Output { items } = &body {
                        self.sent.replay(items);
                    }
                    self.pending_bytes += weight(&body);
                    self.pending.push_back((seq, body));
                    self.next = seq + 1;
                }
            }
        }
        self.length = whole;
        self.file.set_len(whole)
    }

    fn compact(&mut self) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        self.file = OpenOptions::new().create(true).truncate(true).write(true).open(&beside)?;
        self.length = 0;
        // What is pending was sent too: the checkpoint knows of it, so it is not replayed into it.
        let checkpoint =
            Line::Checkpoint { next: self.next, acked: self.acked, sent: self.sent.clone() };
        for (seq, body) in self.pending.clone() {
            self.write(&Line::Frame { seq, body })?;
        }
        self.write(&checkpoint)?;
        std::fs::rename(&beside, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}

/// About how many bytes a frame has.
fn weight(body: &Body) -> usize {
    match body {
        Body::Output { items } => items
            .iter()
            .map(|item| match item {
                Item::Text { text, .. } => text.len() + 100,
                Item::Message { .. } | Item::Part { .. } => 1024,
                Item::Removed { .. } | Item::Gap { .. } => 100,
            })
            .sum(),
        Body::Fact(_) => 1024,
        Body::Changes(Answered::Changes { diff, .. }) => diff.len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(text: &str) -> Vec<Listed> {
        vec![Listed {
            info: json!({ "id": "msg_1" }),
            parts: vec![json!({ "id": "prt_1", "type": "text", "text": text })],
        }]
    }

    fn frames(spool: &Spool) -> Vec<(u64, Body)> {
        spool.pending.iter().cloned().collect()
    }

    #[test]
    fn a_killed_sidecar_goes_on_with_its_numbers_and_sends_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.follow(&said("one")).unwrap();
        spool.fact(Fact::NothingToPublish).unwrap();
        let before = frames(&spool);
        drop(spool);
        // The last line was cut short.
        let mut file =
            OpenOptions::new().append(true).open(dir.path().join("spool.jsonl")).unwrap();
        file.write_all(b"{\"line\":\"frame\",\"seq\":3,").unwrap();

        let mut spool = Spool::open(dir.path()).unwrap();
        assert_eq!(frames(&spool), before);
        spool.follow(&said("one")).unwrap();
        assert_eq!(frames(&spool), before);
        spool.follow(&said("one two")).unwrap();
        let (seq, body) = spool.after(2).unwrap();
        assert_eq!(*seq, 3);
        let text = Item::Text {
            part: "prt_1".into(),
            field: "/text".into(),
            offset: 3,
            text: " two".into(),
        };
        assert_eq!(*body, Body::Output { items: vec![text] });
    }

    #[test]
    fn what_is_acknowledged_is_gone_and_a_compacted_spool_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.follow(&said("one")).unwrap();
        spool.fact(Fact::NothingToPublish).unwrap();
        spool.acknowledge(1).unwrap();
        spool.compact().unwrap();
        spool.follow(&said("one two")).unwrap();
        drop(spool);
        let spool = Spool::open(dir.path()).unwrap();
        let numbers: Vec<u64> = frames(&spool).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(numbers, [2, 3]);
        let mut again = Spool::open(dir.path()).unwrap();
        again.follow(&said("one two")).unwrap();
        assert_eq!(frames(&again).len(), 2);
    }
}
