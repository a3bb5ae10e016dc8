//! The text inside the image's records: borrowed, or formatted on its way out, and never too long for a line.

use core::fmt::{self, Write};

use serde::{Serialize, Serializer};

use crate::{MAX_SERIES, Series};

/// The most bytes of JSON that one text takes, its quotes and the mark of a cut not counted. What is longer is cut there, and ends
/// in `…`.
pub const MAX_TEXT: usize = 512;

/// A text of a record that is being written.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// As it stands.
    Plain(&'a str),
    /// Formatted when the record is written: `format_args!(…).into()`.
    Format(fmt::Arguments<'a>),
    /// A series of figures.
    Series(Series<'a>),
}

impl<'a> From<Series<'a>> for Text<'a> {
    fn from(series: Series<'a>) -> Self {
        Self::Series(series)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Plain(text)
    }
}

impl<'a> From<fmt::Arguments<'a>> for Text<'a> {
    fn from(arguments: fmt::Arguments<'a>) -> Self {
        Self::Format(arguments)
    }
}

impl fmt::Display for Text<'_> {
    /// The text, cut to [`MAX_TEXT`], a series to [`MAX_SERIES`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clip = Clip {
            out: f,
            left: match self {
                Text::Series(_) => MAX_SERIES,
                Text::Plain(_) | Text::Format(_) => MAX_TEXT,
            },
            cut: false,
        };
        match self {
            Text::Plain(text) => clip.write_str(text),
            Text::Format(arguments) => clip.write_fmt(*arguments),
            Text::Series(series) => write!(clip, "{series}"),
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Passes on what fits, then the mark, then nothing.
struct Clip<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    cut: bool,
}

impl Write for Clip<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        for (at, character) in text.char_indices() {
            let Some(left) = self.left.checked_sub(json_len(character)) else {
                self.cut = true;
                self.out.write_str(&text[..at])?;
                return self.out.write_char('…');
            };
            self.left = left;
        }
        self.out.write_str(text)
    }
}

/// The bytes that a character takes inside a JSON string.
fn json_len(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        '\0'..='\x1f' => 6,
        _ => character.len_utf8(),
    }
}
