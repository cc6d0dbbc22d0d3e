use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::export::{CheckpointLine, ErasedLine, EventLine, TextLine};

/// One line of a file.
pub(super) enum Line<'a> {
    Event(Box<EventLine<'a>>),
    Text(TextLine<'a>),
    Erased(ErasedLine),
    Checkpoint(CheckpointLine<'a>),
    /// None of these, or not in its canonical form.
    Other,
}

/// The lines of a file, one in memory at a time.
pub(super) struct Lines<R> {
    file: R,
    line: Vec<u8>,
    number: u64,
}

/// The longest line: a text of 1 MiB with every byte escaped, and what is around it.
const LONGEST: u64 = 8 * 1024 * 1024;

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, line: vec![], number: 0 }
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line as it is, without its end.
    pub(super) fn first(&mut self) -> io::Result<Option<&[u8]>> {
        Ok(if self.read()? { self.line.strip_suffix(b"\n") } else { None })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        if !self.read()? {
            return Ok(None);
        }
        // A line without an end is the last one, and cut off.
        Ok(Some(self.line.strip_suffix(b"\n").and_then(parse).unwrap_or(Line::Other)))
    }

    fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = io::Read::take(&mut self.file, LONGEST).read_until(b'\n', &mut self.line)?;
        self.number += u64::from(read > 0);
        Ok(read > 0)
    }
}

/// What a line's kind is, its first field says.
fn parse(line: &[u8]) -> Option<Line<'_>> {
    if line.starts_with(b"{\"body\"") {
        canonical(line).map(|event| Line::Event(Box::new(event)))
    } else if line.starts_with(b"{\"salt\"") {
        canonical(line).map(Line::Text)
    } else if line.starts_with(b"{\"erased\"") {
        canonical(line).map(Line::Erased)
    } else if line.starts_with(b"{\"checkpoint\"") {
        canonical(line).map(Line::Checkpoint)
    } else {
        None
    }
}

/// What a line says, if it says it as it would be written again.
pub(super) fn canonical<'a, T: Serialize + Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
    let value: T = serde_json::from_slice(line).ok()?;
    let mut same = Same(line);
    (serde_json::to_writer(&mut same, &value).is_ok() && same.0.is_empty()).then_some(value)
}

/// Takes what is written as long as it is this.
struct Same<'a>(&'a [u8]);

impl io::Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
