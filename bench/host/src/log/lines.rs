//! A capture's lines: bytes without what the wire and a terminal add, and which lines an image writes.

use std::borrow::Cow;

use anstream::adapter::strip_bytes;
use pagemark_record::{PREFIX, Record};

use super::printable;

const ESCAPE: u8 = 0x1b;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How every line of a log begins that carries no record.
const BEGINNINGS: [&str; 7] = [
    "# ",
    "Benchmark",
    "Unit ",
    "cpu: ",
    "hypervisor: ",
    "clock: ",
    "layout: ",
];

/// A line as the image wrote it.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    /// Without its line ending, NULs, carriage returns and escape sequences.
    pub bytes: Cow<'a, [u8]>,
    /// A line feed stands behind it. Only a log's last line can lack one.
    pub ended: bool,
}

/// The lines of a log. What follows the last line feed is a line only if there is something.
pub fn lines(log: &[u8]) -> impl Iterator<Item = Line<'_>> {
    lines_from(log, 1)
}

/// The lines of a log whose first line has that number.
pub fn lines_from(log: &[u8], first: usize) -> impl Iterator<Item = Line<'_>> {
    log.split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .map(move |(index, raw)| Line {
            number: first + index,
            bytes: clean(raw),
            ended: raw.ends_with(b"\n"),
        })
}

/// One line without its line ending, a byte-order mark, NULs, carriage returns and escape sequences.
pub fn clean(raw: &[u8]) -> Cow<'_, [u8]> {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    if memchr::memchr3(0, b'\r', ESCAPE, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut line = match line.contains(&ESCAPE) {
        true => strip_bytes(line).into_vec(),
        false => line.to_vec(),
    };
    line.retain(|byte| !matches!(byte, 0 | b'\r'));
    Cow::Owned(line)
}

/// The record on a cleaned line, if the line claims to carry one. Control characters in its texts are escapes that are shown.
pub fn record(line: &[u8]) -> Option<serde_json::Result<Record<String>>> {
    line.strip_prefix(PREFIX.as_bytes())
        .map(|json| parsed(&printable::json(json)))
}

/// Most of a log are results and checks. Read as what they are, they take a third of the time that a record of any kind takes,
/// which has to be kept in pieces until its kind is known.
fn parsed(json: &[u8]) -> serde_json::Result<Record<String>> {
    let kind = json.strip_prefix(br#"{"record":""#).unwrap_or_default();
    match () {
        () if kind.starts_with(b"result\"") => serde_json::from_slice(json).map(Record::Result),
        () if kind.starts_with(b"check\"") => serde_json::from_slice(json).map(Record::Check),
        () if kind.starts_with(b"skip\"") => serde_json::from_slice(json).map(Record::Skip),
        () => serde_json::from_slice(json),
    }
}

/// Whether a line begins as one of an image's does. Empty lines do.
pub fn is_image_line(line: &[u8]) -> bool {
    line.is_empty()
        || line.starts_with(PREFIX.as_bytes())
        || BEGINNINGS
            .iter()
            .any(|beginning| line.starts_with(beginning.as_bytes()))
}
