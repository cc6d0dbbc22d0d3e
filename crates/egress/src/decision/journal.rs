//! The decisions on disk: a file of JSON lines. Written without `fsync`: it outlives this process,
//! not the machine.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Decision;

/// Once this much of the file is about decisions that the control plane has, it is written anew.
const SLACK: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<D, I> {
    /// Allowed and under way: what a kill in the middle leaves behind.
    Opened(D),
    /// Over.
    Decided(D),
    /// The control plane has these.
    Reported(I),
}

pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    size: u64,
    /// Bytes in the file when it was last written anew.
    floor: u64,
    broken: bool,
}

impl Journal {
    /// Opens the journal and gives back what the control plane has not got.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Decision>)> {
        let unsent = read(path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file: options().open(path)?,
            size: 0,
            floor: 0,
            broken: false,
        };
        journal.rewrite(&mut unsent.iter(), &mut std::iter::empty())?;
        Ok((journal, unsent))
    }

    pub(super) fn opened(&mut self, decision: &Decision) {
        self.append(&Line::<_, [Uuid; 0]>::Opened(decision));
    }

    pub(super) fn decided(&mut self, decision: &Decision) {
        self.append(&Line::<_, [Uuid; 0]>::Decided(decision));
    }

    pub(super) fn reported(&mut self, ids: &[Uuid]) {
        self.append(&Line::<Decision, _>::Reported(ids));
    }

    /// Whether so much of the file is settled that [`Journal::rewrite`] is worth it.
    pub(super) fn wants_rewrite(&self) -> bool {
        self.size > self.floor * 2 + SLACK
    }

    /// Writes the file anew with only these decisions, atomically.
    pub(super) fn rewrite(
        &mut self,
        unsent: &mut dyn Iterator<Item = &Decision>,
        open: &mut dyn Iterator<Item = &Decision>,
    ) -> io::Result<()> {
        let next = self.path.with_extension("next");
        let file = options().truncate(true).append(false).open(&next)?;
        let mut out = io::BufWriter::new(file);
        for decision in unsent {
            out.write_all(&line(&Line::<_, [Uuid; 0]>::Decided(decision))?)?;
        }
        for decision in open {
            out.write_all(&line(&Line::<_, [Uuid; 0]>::Opened(decision))?)?;
        }
        out.flush()?;
        fs::rename(&next, &self.path)?;
        self.file = options().open(&self.path)?;
        self.size = self.file.metadata()?.len();
        self.floor = self.size;
        Ok(())
    }

    fn append<D: Serialize, I: Serialize>(&mut self, what: &Line<D, I>) {
        let written = line(what).and_then(|bytes| {
            self.file.write_all(&bytes)?;
            self.size += bytes.len() as u64;
            Ok(())
        });
        match written {
            Ok(()) => self.broken = false,
            // Memory still holds it: only a restart before it is sent would lose it.
            Err(error) if !self.broken => {
                self.broken = true;
                tracing::error!(%error, "the journal of decisions cannot be written");
            }
            Err(_) => {}
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).append(true).write(true).mode(0o600);
    options
}

/// A line begins with its newline, so that one cut short by a full disk spoils no other.
fn line<D: Serialize, I: Serialize>(what: &Line<D, I>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![b'\n'];
    serde_json::to_writer(&mut bytes, what)?;
    Ok(bytes)
}

fn read(path: &Path) -> io::Result<Vec<Decision>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let (mut opened, mut decided, mut settled, mut spoilt) =
        (vec![], vec![], HashSet::new(), 0_u32);
    for bytes in BufReader::new(file).split(b'\n') {
        let bytes = bytes?;
        if bytes.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line<Decision, Vec<Uuid>>>(&bytes) {
            Ok(Line::Opened(decision)) => opened.push(decision),
            Ok(Line::Decided(decision)) => decided.push(decision),
            Ok(Line::Reported(ids)) => settled.extend(ids),
            Err(_) => spoilt += 1,
        }
    }
    if spoilt > 0 {
        tracing::warn!(lines = spoilt, "lines of the journal of decisions are spoilt");
    }
    decided.retain(|decision| !settled.contains(&decision.id));
    settled.extend(decided.iter().map(|decision| decision.id));
    opened.retain(|decision| !settled.contains(&decision.id));
    decided.append(&mut opened);
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use chrono::Utc;
    use domain::ids::RunId;

    use super::*;
    use crate::decision::{Kind, Verdict};

    fn decision(bytes_up: u64) -> Decision {
        Decision {
            id: Uuid::now_v7(),
            run: RunId(Uuid::now_v7()),
            at: Utc::now(),
            kind: Kind::Connect,
            host: "example.org".into(),
            port: 443,
            verdict: Verdict::Allowed,
            rule: "example.org".into(),
            address: None,
            bytes_up,
            bytes_down: 0,
            duration_ms: 0,
            status: None,
        }
    }

    #[test]
    fn what_was_not_reported_comes_back_and_what_was_cut_short_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("decisions.jsonl");
        let (sent, unsent, cut) = (decision(1), decision(2), decision(3));
        {
            let (mut journal, found) = Journal::open(&path).expect("a journal");
            assert!(found.is_empty());
            journal.opened(&sent);
            journal.decided(&sent);
            journal.opened(&unsent);
            journal.decided(&unsent);
            journal.opened(&cut);
            journal.reported(&[sent.id]);
        }
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"\n{\"decided\":{\"id")
            .unwrap();
        let (mut journal, found) = Journal::open(&path).expect("a journal");
        assert_eq!(found, vec![unsent.clone(), cut.clone()]);
        journal.reported(&[unsent.id]);
        drop(journal);
        assert_eq!(Journal::open(&path).expect("a journal").1, vec![cut]);
    }

    #[test]
    fn the_file_is_written_anew_when_most_of_it_is_settled() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("decisions.jsonl");
        let (mut journal, _) = Journal::open(&path).expect("a journal");
        let (kept, open) = (decision(1), decision(2));
        while !journal.wants_rewrite() {
            journal.decided(&kept);
        }
        journal.rewrite(&mut [&kept].into_iter(), &mut [&open].into_iter()).expect("rewritten");
        assert!(fs::metadata(&path).unwrap().len() < 2_000);
        journal.reported(&[kept.id]);
        drop(journal);
        assert_eq!(Journal::open(&path).expect("a journal").1, vec![open]);
    }
}
