//! Puts the lines of one run together again, as the image wrote them: the `end` record's count and CRC-32 prove it.
//!
//! A capture may hold more than the image wrote: a time before every line, lines of other programs between, lines cut at the
//! width of a terminal. [`lines`] tries what captures are known to do, in a fixed order, and takes the first reading that the
//! `end` record proves. A run that ends in a panic has no proof: there the first reading serves in which every record can be
//! read.

use std::borrow::Cow;

use memchr::memmem;
use pagemark_record::{End, LineSum, PREFIX, Record};

use super::lines::{Line, is_image_line, lines_from, record};
use super::prefix::Shape;

/// A line that is put together from pieces has no more bytes than this.
const MOST_JOINED: usize = 1 << 16;
/// What all records begin with.
const RECORD: &[u8] = b"@pagemark {\"record\":\"";

/// How the lines of a capture are made into those of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    /// As they are.
    None,
    /// A record may have the end of somebody's unfinished line before it.
    FromTheMark,
    /// Lines of conserver are no part of it: `[-- MARK -- …]`. They may stand in the middle of a line.
    WithoutMarks,
    /// A line that does not begin as the image's do goes on from the one before.
    Joined,
    /// So it does, and what is missing up to a terminal's width were spaces.
    Unwrapped,
    /// Every second line is empty: carriage returns became line feeds.
    Halved,
    /// Lines that do not begin as the image's do are somebody else's.
    WithoutOthers,
}

const REPAIRS: [Repair; 7] = [
    Repair::None,
    Repair::FromTheMark,
    Repair::WithoutMarks,
    Repair::Joined,
    Repair::Unwrapped,
    Repair::Halved,
    Repair::WithoutOthers,
];

/// The lines of a run: as proved, else as they read best.
pub struct Assembled<'a> {
    /// From the `start` record on.
    pub lines: Vec<Line<'a>>,
    /// An `end` record states the lines and the CRC-32 of just these.
    pub proved: bool,
}

/// The lines of the run in `bytes`, which begin with its `start` record and, if it is `closed`, end with its `end` or `panic`.
/// The `start` record stands in column `column` of the line `first` of the capture, both counted in it.
pub fn lines(bytes: &[u8], first: usize, column: usize, closed: bool) -> Assembled<'_> {
    let plain: Vec<Line<'_>> = lines_from(bytes, first).collect();
    let mut best = Best(None);
    if let Standing::Proved = standing(&plain) {
        return Assembled {
            lines: plain,
            proved: true,
        };
    }
    let mut bases = vec![plain];
    if let Some(shape) = prefix(&bases[0]) {
        let plain = bases.swap_remove(0);
        let begins = |line: &[u8]| shape.strip(line).is_some();
        let unwrapped = joined(
            plain.iter().cloned(),
            widest(&plain, column),
            column,
            begins,
        );
        // Where lines have a prefix, what is left of them without it reads best.
        bases = vec![
            without(&shape, plain.clone()),
            without(&shape, unwrapped),
            plain,
        ];
    }
    for base in &bases {
        // Nothing proves an open run: what is wrong with it shows in its lines as they are.
        let repairs = if closed { &REPAIRS[..] } else { &REPAIRS[..1] };
        for &repair in repairs {
            if let Some(found) = best.consider(repaired(base, repair, column)) {
                return found;
            }
        }
        if !closed {
            continue;
        }
        let alone = repaired(&without_marks(base), Repair::WithoutOthers, column);
        if let Some(found) = best.consider(alone) {
            return found;
        }
    }
    let lines = best.0.map_or_else(Vec::new, |(_, lines)| lines);
    Assembled {
        lines,
        proved: false,
    }
}

/// The reading with the fewest broken lines so far, with their number.
struct Best<'a>(Option<(usize, Vec<Line<'a>>)>);

impl<'a> Best<'a> {
    /// Returns the lines where they are proved.
    fn consider(&mut self, lines: Vec<Line<'a>>) -> Option<Assembled<'a>> {
        let broken = match standing(&lines) {
            Standing::Proved => {
                return Some(Assembled {
                    lines,
                    proved: true,
                });
            }
            Standing::Unproved { broken } => broken,
        };
        if self.0.as_ref().is_none_or(|(least, _)| broken < *least) {
            self.0 = Some((broken, lines));
        }
        None
    }
}

/// What stands before the records that follow the first one: before that may stand somebody's unfinished line, too.
fn prefix(lines: &[Line<'_>]) -> Option<Shape> {
    let followers = lines.iter().skip(1);
    let mut prefixes =
        followers.filter_map(|line| Some(&line.bytes[..memmem::find(&line.bytes, RECORD)?]));
    Shape::of(prefixes.next()?)
}

/// The lines without their prefix. Those that have none stay.
fn without<'a>(shape: &Shape, lines: Vec<Line<'a>>) -> Vec<Line<'a>> {
    let mut stripped: Vec<Line<'a>> = Vec::with_capacity(lines.len());
    for line in lines {
        let rest = shape
            .strip(&line.bytes)
            .map(|(rest, goes_on)| (line.bytes.len() - rest.len(), goes_on));
        match (rest, stripped.last_mut()) {
            (Some((at, true)), Some(before)) => {
                before.bytes.to_mut().extend_from_slice(&line.bytes[at..]);
                before.ended = line.ended;
            }
            (Some((at, _)), _) => stripped.push(Line {
                bytes: from(line.bytes, at),
                ..line
            }),
            (None, _) => stripped.push(line),
        }
    }
    stripped
}

fn from(bytes: Cow<'_, [u8]>, at: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[at..]),
        Cow::Owned(mut bytes) => {
            bytes.drain(..at);
            Cow::Owned(bytes)
        }
    }
}

fn repaired<'a>(lines: &[Line<'a>], repair: Repair, column: usize) -> Vec<Line<'a>> {
    match repair {
        Repair::None => lines.to_vec(),
        Repair::FromTheMark => lines.iter().cloned().map(from_the_mark).collect(),
        Repair::WithoutMarks => without_marks(lines),
        Repair::Joined => joined(
            lines.iter().cloned().map(from_the_mark),
            0,
            0,
            is_image_line,
        ),
        Repair::Unwrapped => {
            let wide = widest(lines, column);
            joined(lines.iter().cloned(), wide, column, is_image_line)
        }
        Repair::Halved => {
            let every_second = lines
                .iter()
                .skip(1)
                .step_by(2)
                .all(|line| line.bytes.is_empty());
            let step = if every_second { 2 } else { 1 };
            lines.iter().step_by(step).cloned().collect()
        }
        Repair::WithoutOthers => {
            let lines = lines.iter().cloned().map(from_the_mark);
            lines.filter(|line| is_image_line(&line.bytes)).collect()
        }
    }
}

/// A record without what stands before it.
fn from_the_mark(line: Line<'_>) -> Line<'_> {
    match memmem::find(&line.bytes, RECORD) {
        Some(at) if at > 0 => Line {
            bytes: from(line.bytes, at),
            ..line
        },
        _ => line,
    }
}

/// What of a line stands before conserver's mark, if one ends it.
fn before_mark(line: &[u8]) -> Option<&[u8]> {
    let at = memmem::rfind(line, b"[-- ")?;
    line.ends_with(b"]").then(|| &line[..at])
}

/// The lines without conserver's marks. What follows a mark goes on from what precedes it, unless both are whole lines.
fn without_marks<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let mut kept: Vec<Line<'a>> = Vec::with_capacity(lines.len());
    let mut behind_mark = false;
    for line in lines {
        let text = before_mark(&line.bytes).map(<[u8]>::len);
        let mut line = line.clone();
        if let Some(length) = text {
            line.bytes.to_mut().truncate(length);
        }
        let nothing = text == Some(0);
        match kept.last_mut() {
            _ if nothing => {}
            Some(before)
                if behind_mark && !(is_image_line(&line.bytes) && is_image_line(&before.bytes)) =>
            {
                before.bytes.to_mut().extend_from_slice(&line.bytes);
                before.ended = line.ended;
            }
            _ => kept.push(line),
        }
        behind_mark = text.is_some();
    }
    kept
}

/// Lines where each that does not begin one goes on from the one before, which has that many characters. The first line begins in
/// column `column`.
fn joined<'a>(
    lines: impl Iterator<Item = Line<'a>>,
    wide: usize,
    column: usize,
    begins: impl Fn(&[u8]) -> bool,
) -> Vec<Line<'a>> {
    let mut whole: Vec<Line<'a>> = Vec::new();
    // Where the last piece ends.
    let mut last = column;
    for line in lines {
        let characters = width(&line.bytes);
        match whole.last_mut() {
            Some(before)
                if !begins(&line.bytes)
                    && before.bytes.len() + line.bytes.len() + wide <= MOST_JOINED =>
            {
                let bytes = before.bytes.to_mut();
                bytes.resize(bytes.len() + wide.saturating_sub(last), b' ');
                bytes.extend_from_slice(&line.bytes);
                before.ended = line.ended;
                last = characters;
            }
            previous => {
                last = characters + if previous.is_none() { column } else { 0 };
                whole.push(line);
            }
        }
    }
    whole
}

/// Characters of the longest line; the first one begins in column `column`.
fn widest(lines: &[Line<'_>], column: usize) -> usize {
    let columns = [column].into_iter().chain(std::iter::repeat(0));
    let widths = lines
        .iter()
        .zip(columns)
        .map(|(line, column)| column + width(&line.bytes));
    widths.max().unwrap_or(0)
}

/// Characters of a line: the bytes of UTF-8 that begin one.
fn width(line: &[u8]) -> usize {
    line.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// What a reading of the lines is worth.
enum Standing {
    Proved,
    /// How many of its records cannot be read.
    Unproved {
        broken: usize,
    },
}

fn standing(lines: &[Line<'_>]) -> Standing {
    let closing = lines.iter().position(|line| is_closing(&line.bytes));
    let Some(at) = closing else {
        return Standing::Unproved {
            broken: broken(lines),
        };
    };
    let Some(Ok(Record::End(End {
        lines: stated,
        crc32,
        ..
    }))) = record(&lines[at].bytes)
    else {
        // A panic proves nothing by itself: all records before it have to be read.
        let broken = broken(&lines[..=at]);
        let panicked = matches!(record(&lines[at].bytes), Some(Ok(Record::Panic(_))));
        return match panicked && broken == 0 {
            true => Standing::Proved,
            false => Standing::Unproved { broken },
        };
    };
    let mut sum = LineSum::new();
    for line in &lines[..at] {
        sum.bytes(&line.bytes);
        sum.end_line();
    }
    match sum.lines() == stated && u64::from(sum.crc32()) == crc32.0 {
        true => Standing::Proved,
        false => Standing::Unproved {
            broken: broken(lines),
        },
    }
}

fn is_closing(line: &[u8]) -> bool {
    let kind = line.strip_prefix(RECORD);
    kind.is_some_and(|kind| kind.starts_with(b"end\"") || kind.starts_with(b"panic\""))
}

/// How many lines carry a record that cannot be read, or no text of an image.
fn broken(lines: &[Line<'_>]) -> usize {
    let unreadable = |line: &&Line<'_>| match line.bytes.starts_with(PREFIX.as_bytes()) {
        true => !matches!(record(&line.bytes), Some(Ok(_))),
        false => !is_image_line(&line.bytes),
    };
    lines.iter().filter(unreadable).count()
}
