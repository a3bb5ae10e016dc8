//! A serial line's bytes, cleaned: lines without what the wire and a terminal add.

use std::borrow::Cow;

use anstream::adapter::strip_bytes;
use pagemark_record::{PREFIX, Record};

const ESCAPE: u8 = 0x1b;

/// A line as the image wrote it.
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
    log.split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, raw)| Line {
            number: index + 1,
            bytes: clean(raw),
            ended: raw.ends_with(b"\n"),
        })
}

/// One line without its line ending, NULs, carriage returns and escape sequences.
pub fn clean(raw: &[u8]) -> Cow<'_, [u8]> {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.iter().any(|byte| matches!(byte, 0 | b'\r' | &ESCAPE)) {
        return Cow::Borrowed(line);
    }
    let mut line = match line.contains(&ESCAPE) {
        true => strip_bytes(line).into_vec(),
        false => line.to_vec(),
    };
    line.retain(|byte| !matches!(byte, 0 | b'\r'));
    Cow::Owned(line)
}

/// The record on a cleaned line, if the line claims to carry one.
pub fn record(line: &[u8]) -> Option<serde_json::Result<Record<String>>> {
    line.strip_prefix(PREFIX.as_bytes())
        .map(serde_json::from_slice)
}
