//! Where a log is damaged. A CRC-32 says that it is; what the lines say of each other says where.
//!
//! A result's record repeats what the benchmark line before it says, so that each bears witness of the other; and every line of
//! an image begins in one of a few ways.

use std::fmt;

use pagemark_record::{PREFIX, Record};

use super::lines::{Line, is_image_line, record};
use super::{Fault, LogError, printable};

/// The most places that are reported.
const MOST: usize = 4;
/// Characters of a line that are shown.
const SHOWN: usize = 48;

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The line, counted from 1 in the file as it is.
    pub line: usize,
    /// What is wrong there.
    pub kind: Kind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It begins as no line of an image does: somebody else's, or the rest of a broken one.
    Foreign(String),
    /// A record whose end is missing.
    CutRecord,
    /// A record that cannot be read.
    BrokenRecord,
    /// A benchmark line and the record behind it are not of one case, or give other figures.
    Unlike(String),
    /// A result without its benchmark line, or a benchmark line without its result.
    Alone(String),
    /// Bytes that are no UTF-8, as a wrong baud rate or parity leaves them.
    NotText,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(text) => write!(f, "no line of an image: `{text}`"),
            Self::CutRecord => f.write_str("a record without its end"),
            Self::BrokenRecord => f.write_str("a record that cannot be read"),
            Self::Unlike(case) => write!(f, "the benchmark line and the record of {case} differ"),
            Self::Alone(case) => write!(f, "{case} lacks its benchmark line or its record"),
            Self::NotText => f.write_str("bytes that are no text: a wrong baud rate or parity?"),
        }
    }
}

/// `error` with the places where `lines`, those of its run, are damaged.
pub(super) fn located(mut error: LogError, lines: &[Line<'_>]) -> LogError {
    if matches!(
        error.fault,
        Fault::Crc { .. } | Fault::LineCount { .. } | Fault::Malformed(_)
    ) {
        error.damages = damages(lines);
    }
    error
}

fn damages(lines: &[Line<'_>]) -> Vec<Damage> {
    let mut damages: Vec<Damage> = Vec::new();
    // The benchmark line that waits for its record.
    let mut waiting: Option<(usize, String)> = None;
    for line in lines {
        let text = String::from_utf8_lossy(&line.bytes);
        let mut damaged = |number: usize, kind: Kind| {
            damages.push(Damage { line: number, kind });
        };
        let read = record(&line.bytes);
        match &read {
            _ if matches!(text, std::borrow::Cow::Owned(_)) => damaged(line.number, Kind::NotText),
            Some(Err(_)) if text.ends_with('}') => damaged(line.number, Kind::BrokenRecord),
            Some(Err(_)) => damaged(line.number, Kind::CutRecord),
            None if !is_image_line(&line.bytes) => {
                damaged(line.number, Kind::Foreign(clipped(&text)));
            }
            _ => {}
        }
        let case = match &read {
            Some(Ok(Record::Result(result))) => Some(&result.case),
            _ => None,
        };
        match (waiting.take(), case) {
            (Some((number, benchmark)), Some(case)) => {
                let Some(Ok(Record::Result(result))) = &read else {
                    continue;
                };
                let words: Vec<&str> = benchmark.split_whitespace().collect();
                let named = words
                    .first()
                    .is_some_and(|word| word.eq_ignore_ascii_case(case));
                let figures = [
                    (2, result.median),
                    (words.len().wrapping_sub(2), result.max),
                ];
                let alike = figures.iter().all(|(at, figure)| {
                    words
                        .get(*at)
                        .is_some_and(|word| *word == figure.to_string())
                });
                if !(named && alike) {
                    damaged(number, Kind::Unlike(case.clone()));
                }
            }
            (Some((number, benchmark)), None)
                if read.is_none() || read.as_ref().is_some_and(Result::is_ok) =>
            {
                let case = benchmark.split_whitespace().next().unwrap_or_default();
                damaged(number, Kind::Alone(clipped(case)));
            }
            (None, Some(case)) => damaged(line.number, Kind::Alone(case.clone())),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("Benchmark") {
            waiting = Some((line.number, rest.to_owned()));
        }
        debug_assert!(read.is_none() || line.bytes.starts_with(PREFIX.as_bytes()));
    }
    damages.truncate(MOST);
    damages
}

/// How a line begins, as a terminal may show it.
fn clipped(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    printable::text(&shown).into_owned()
}
