//! Finds the runs in a capture, one after the other, in memory that does not grow with it.
//!
//! A run begins with the mark of a `start` record, wherever in a line that stands, and ends with the mark of an `end` or `panic`
//! record. What lies between runs is passed over as fast as it is read.

use std::io::{self, Read};

use memchr::memmem;
use pagemark_record::PREFIX;

use super::lines::{Line, clean, lines_from, record};
use super::wire::Wire;
use super::{Fault, Log, LogError, assemble, damage, reader};

/// The longest run that is looked for, in bytes: beyond it nothing ends the last one that began.
pub const MOST: usize = 64 << 20;
/// The longest record, in bytes.
const RECORD: usize = 64 << 10;
/// Bytes of runs that are over, above which their memory is used again.
const FORGOTTEN: usize = 1 << 20;
/// Bytes before a mark that are remembered, for its column.
const REMEMBERED: usize = 512;
/// Bytes after a mark that a record's kind is known by.
const KIND: usize = 32;
/// An `end` record has fewer bytes, and so has what a panic's takes of a capture.
const CLOSING: usize = 8 << 10;

/// A run that was found.
#[derive(Debug)]
pub struct Run {
    /// What it says.
    pub log: Log,
    /// The number of its first line in the capture.
    pub line: usize,
    /// Its lines as the image wrote them.
    pub text: Vec<u8>,
}

/// The runs of a capture, in its order, each whole or with what is wrong with it.
pub struct Captures<R> {
    wire: Wire<R>,
    buffer: Vec<u8>,
    /// The number of the buffer's first line, and bytes of it that were passed over.
    line: usize,
    at: usize,
    ended: bool,
    found: Found,
    /// A record outside of every run was reported, and no run began since.
    stray: bool,
}

/// What was found so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A run that is over.
    Whole,
    Broken,
}

/// What a mark stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    End,
    Panic,
    Other,
}

/// How the bytes of a run end.
enum Closing {
    /// With a record `end` or `panic`, at this place of the buffer.
    Closed(usize),
    /// Another run begins there.
    Another(usize),
    /// The capture ends there, or the run is too long.
    Cut(usize),
}

impl<R: Read> Captures<R> {
    /// The runs in what `inner` yields.
    pub fn new(inner: R) -> Self {
        Self {
            wire: Wire::new(inner),
            buffer: Vec::new(),
            line: 1,
            at: 0,
            ended: false,
            found: Found::Nothing,
            stray: false,
        }
    }

    /// The next run; none at the capture's end. Each capture without any yields one error.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator's next cannot fail by itself"
    )]
    pub fn next(&mut self) -> io::Result<Option<Result<Run, LogError>>> {
        if self.at > FORGOTTEN {
            self.forget();
        }
        loop {
            let Some(at) = self.find(self.at, PREFIX.as_bytes())? else {
                self.pass_over(self.buffer.len());
                // A line feed at the very end begins no line.
                let fed = self.line > 1 && self.buffer.last() == Some(&b'\n');
                let last = self.line - usize::from(fed);
                let nothing = self.found == Found::Nothing;
                self.found = Found::Broken;
                return Ok(nothing.then_some(Err(LogError::new(last, Fault::NoStart))));
            };
            self.pass_over(at);
            match self.kind(self.at)? {
                Kind::Start => {
                    self.stray = false;
                    let run = self.run()?;
                    self.found = if run.is_ok() {
                        Found::Whole
                    } else {
                        Found::Broken
                    };
                    return Ok(Some(run));
                }
                _ => {
                    if let Some(error) = self.outside()? {
                        self.found = Found::Broken;
                        self.stray = true;
                        return Ok(Some(Err(error)));
                    }
                }
            }
        }
    }

    /// The run that begins here.
    fn run(&mut self) -> io::Result<Result<Run, LogError>> {
        let mut from = self.at + PREFIX.len();
        let mut failed: Option<LogError> = None;
        loop {
            let closing = self.closing(from)?;
            let (end, closed) = match closing {
                Closing::Closed(end) => (end, true),
                Closing::Another(end) => (end, false),
                Closing::Cut(end) => (end, false),
            };
            let run = &self.buffer[self.at..end];
            let assembled = assemble::lines(run, self.line, self.column(), closed);
            let result = match (closed, failed.take()) {
                // The records that seemed to end it did not, and nothing else does.
                (false, Some(error)) => Err(error),
                _ => reader::read_run(&assembled.lines, assembled.proved),
            };
            let result = match (result, &closing) {
                (Err(error), Closing::Another(end)) if matches!(error.fault, Fault::NoEnd) => {
                    let first = self.line;
                    let line = first + newlines(&self.buffer[self.at..*end]);
                    Err(LogError::new(line, Fault::SecondStart { first }))
                }
                (result, _) => result,
            };
            let result = result.map(|log| Run {
                log,
                line: self.line,
                text: written(&assembled.lines),
            });
            let result = result.map_err(|error| damage::located(error, &assembled.lines));
            let in_a_text = closed && !self.begins_a_line(end);
            if let (Err(error), true) = (&result, in_a_text) {
                failed = Some(error.clone());
                from = end;
                continue;
            }
            self.pass_over(end);
            return Ok(result);
        }
    }

    /// Where the run that begins here ends, looked for from `from` on.
    fn closing(&mut self, mut from: usize) -> io::Result<Closing> {
        loop {
            let Some(at) = self.find(from, PREFIX.as_bytes())? else {
                // The beginning of a mark may stand at the end of what was read.
                let tail = if self.ended { 0 } else { PREFIX.len() };
                return Ok(Closing::Cut(self.buffer.len() - tail));
            };
            if at - self.at > MOST {
                return Ok(Closing::Cut(at));
            }
            match self.kind(at)? {
                Kind::Start => return Ok(Closing::Another(at)),
                Kind::End => return Ok(Closing::Closed(self.behind_end(at)?)),
                Kind::Panic => return Ok(Closing::Closed(self.behind_panic(at)?)),
                Kind::Other => from = at + PREFIX.len(),
            }
        }
    }

    /// The place behind the `end` record at `at`, and behind its line if nothing else stands there.
    fn behind_end(&mut self, at: usize) -> io::Result<usize> {
        self.have(at + CLOSING)?;
        let rest = &self.buffer[at..self.buffer.len().min(at + CLOSING)];
        let end = memchr::memchr(b'}', rest).map_or(rest.len(), |brace| brace + 1);
        let line = memchr::memchr(b'\n', &rest[end..]).map_or(rest.len(), |feed| end + feed + 1);
        Ok(at + line)
    }

    /// The place behind the line on which the `panic` record at `at` is complete; behind its first line where none is.
    fn behind_panic(&mut self, at: usize) -> io::Result<usize> {
        self.have(at + CLOSING)?;
        let rest = &self.buffer[at..self.buffer.len().min(at + CLOSING)];
        let mut feeds = memchr::memchr_iter(b'\n', rest).map(|feed| feed + 1);
        let first = feeds.next().unwrap_or(rest.len());
        let is_whole = |end: usize| {
            let json: Vec<u8> = rest[..end]
                .iter()
                .copied()
                .filter(|byte| *byte != b'\n')
                .collect();
            matches!(record(&json), Some(Ok(_)))
        };
        let whole = [first].into_iter().chain(feeds).find(|end| is_whole(*end));
        Ok(at + whole.unwrap_or(first))
    }

    /// Whether the last record before `end` begins its line, or follows what stands before every record.
    fn begins_a_line(&self, end: usize) -> bool {
        let run = &self.buffer[self.at..end];
        let Some(mark) = memmem::rfind(run, PREFIX.as_bytes()) else {
            return true;
        };
        run[..mark].last().is_none_or(|byte| *byte == b'\n')
    }

    /// What is wrong with a record outside of every run, unless one before it was reported; goes on behind it.
    fn outside(&mut self) -> io::Result<Option<LogError>> {
        self.have(self.at + RECORD)?;
        let end = self.buffer.len().min(self.at + RECORD);
        let line = memchr::memchr(b'\n', &self.buffer[self.at..end]);
        let end = line.map_or(end, |feed| self.at + feed + 1);
        let line: Option<Line<'_>> = lines_from(&self.buffer[self.at..end], self.line).next();
        let fault = line
            .filter(|line| line.ended && !self.stray)
            .and_then(|line| match record(&line.bytes)? {
                Err(error) => Some(Fault::Malformed(error.into())),
                Ok(record) => Some(match self.found {
                    Found::Whole => Fault::AfterEnd(reader::name(&record)),
                    _ => Fault::BeforeStart(reader::name(&record)),
                }),
            });
        let error = fault.map(|fault| LogError::new(self.line, fault));
        self.pass_over(self.at + PREFIX.len().min(end - self.at));
        Ok(error)
    }

    /// Characters before the mark in its line.
    fn column(&self) -> usize {
        let before = &self.buffer[self.at.saturating_sub(REMEMBERED)..self.at];
        let line = memchr::memrchr(b'\n', before).map_or(before, |feed| &before[feed + 1..]);
        String::from_utf8_lossy(&clean(line)).chars().count()
    }

    fn kind(&mut self, at: usize) -> io::Result<Kind> {
        self.have(at + PREFIX.len() + KIND)?;
        let rest = &self.buffer[at + PREFIX.len()..];
        let rest = rest.strip_prefix(b"{\"record\":\"").unwrap_or_default();
        Ok(match () {
            () if rest.starts_with(b"start\"") => Kind::Start,
            () if rest.starts_with(b"end\"") => Kind::End,
            () if rest.starts_with(b"panic\"") => Kind::Panic,
            () => Kind::Other,
        })
    }

    /// The next place of `needle` from `from` on, in the next [`MOST`] bytes behind the run that is looked at; reads on where
    /// that takes it.
    fn find(&mut self, mut from: usize, needle: &[u8]) -> io::Result<Option<usize>> {
        loop {
            if let Some(at) = memmem::find(&self.buffer[from.min(self.buffer.len())..], needle) {
                return Ok(Some(from + at));
            }
            if self.ended || self.buffer.len() - self.at > MOST {
                return Ok(None);
            }
            let tail = self
                .buffer
                .len()
                .saturating_sub(needle.len() - 1)
                .max(from.min(self.buffer.len()));
            // What was passed over is no longer of use, unless a run began in it.
            if from == self.at {
                self.pass_over(tail);
                self.forget();
                from = self.at;
            } else {
                from = tail;
            }
            self.fill()?;
        }
    }

    /// Has the buffer reach to `end`, where the capture does.
    fn have(&mut self, end: usize) -> io::Result<()> {
        while self.buffer.len() < end && !self.ended {
            self.fill()?;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ended = !self.wire.fill(&mut self.buffer)?;
        Ok(())
    }

    /// Goes on at `at`.
    fn pass_over(&mut self, at: usize) {
        self.line += newlines(&self.buffer[self.at..at]);
        self.at = at;
    }

    /// Bytes that the capture takes in memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives back what lies before, but for the last bytes.
    fn forget(&mut self) {
        let start = self.at.saturating_sub(REMEMBERED);
        self.buffer.drain(..start);
        self.at -= start;
    }
}

fn newlines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// The lines as the image wrote them.
fn written(lines: &[Line<'_>]) -> Vec<u8> {
    lines.iter().fold(Vec::new(), |mut text, line| {
        text.extend_from_slice(&line.bytes);
        text.push(b'\n');
        text
    })
}
