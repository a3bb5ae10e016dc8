//! Reads the figures of other tools, to show them and to set them beside ours.
//!
//! One file a format: [`go_text`], [`bmf`], [`google_benchmark`], [`smaller_is_better`], [`data_js`]; each says where its format is defined, and what of it is lost here. [`source`] finds
//! out what a file holds.
//!
//! Damaged input is an error that names the line and the value, never a figure that the file does not have. What a file says of a
//! benchmark that has no figure (skipped, failed) becomes a note.

pub mod bmf;
pub mod data_js;
mod error;
pub mod go_text;
pub mod google_benchmark;
mod json;
pub mod smaller_is_better;
pub mod source;
#[cfg(test)]
mod tests;

pub use error::ImportError;

use crate::figures::{Entry, pool};
use crate::log::lines;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Go benchmark text
    GoText,
    /// Bencher metric format
    Bmf,
    /// The JSON of google-benchmark
    GoogleBenchmark,
    /// github-action-benchmark's customSmallerIsBetter
    SmallerIsBetter,
    /// github-action-benchmark's data.js
    DataJs,
}

/// What a file of another tool holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// In which format it was written.
    pub format: Format,
    /// Its figures, one a name and unit.
    pub entries: Vec<Entry>,
    /// What it says of benchmarks that have no figure.
    pub notes: Vec<String>,
}

/// What one format's reader found: any number of figures a name and unit, and notes.
#[derive(Debug, Default)]
struct Found {
    entries: Vec<Entry>,
    notes: Vec<String>,
}

impl From<Vec<Entry>> for Found {
    fn from(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            notes: Vec::new(),
        }
    }
}

impl Format {
    /// Every format, in the order in which a file is tried on them.
    pub const ALL: [Self; 5] = [
        Self::GoogleBenchmark,
        Self::SmallerIsBetter,
        Self::Bmf,
        Self::DataJs,
        Self::GoText,
    ];

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoText => "Go benchmark text",
            Self::Bmf => "Bencher metric format",
            Self::GoogleBenchmark => "google-benchmark JSON",
            Self::SmallerIsBetter => "customSmallerIsBetter of github-action-benchmark",
            Self::DataJs => "data.js of github-action-benchmark",
        }
    }

    /// What its figures are.
    pub fn statistic(self) -> &'static str {
        match self {
            Self::GoText => "the median of a benchmark's lines",
            Self::Bmf => "the value of a measure",
            Self::GoogleBenchmark => "the median of a benchmark's repetitions, in real time",
            Self::SmallerIsBetter => "the value of a benchmark",
            Self::DataJs => "the newest value of a benchmark",
        }
    }

    /// The format of a file, told by what is in it.
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        let value = json::looks_like_it(bytes)
            .then(|| json::value(bytes))
            .flatten();
        Self::ALL.into_iter().find(|format| match format {
            Self::GoogleBenchmark => value.as_ref().is_some_and(google_benchmark::is_one),
            Self::SmallerIsBetter => value.as_ref().is_some_and(smaller_is_better::is_one),
            Self::Bmf => value.as_ref().is_some_and(bmf::is_one),
            Self::DataJs => data_js::is_one(bytes),
            Self::GoText => go_text::is_one(bytes),
        })
    }
}

/// Reads a file of that format.
pub fn read(format: Format, bytes: &[u8]) -> Result<Foreign, ImportError> {
    let Found { entries, notes } = match format {
        Format::GoText => go_text::read(bytes)?.into(),
        Format::Bmf => bmf::read(bytes)?.into(),
        Format::GoogleBenchmark => google_benchmark::read(bytes)?,
        Format::SmallerIsBetter => smaller_is_better::read(bytes)?,
        Format::DataJs => data_js::read(bytes)?,
    };
    if entries.is_empty() && notes.is_empty() {
        return Err(ImportError::Empty {
            format: format.name(),
        });
    }
    Ok(Foreign {
        format,
        entries: pool(entries),
        notes,
    })
}

/// The lines of a text as a terminal would show them, counted from 1.
fn text_lines(bytes: &[u8]) -> impl Iterator<Item = (usize, String)> {
    lines::lines(bytes).map(|line| {
        let text = String::from_utf8_lossy(&line.bytes).into_owned();
        (line.number, text)
    })
}

/// A figure in a text.
fn figure(line: usize, what: &'static str, text: &str) -> Result<f64, ImportError> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) => Ok(value),
        _ => Err(ImportError::value(line, what, "number", text)),
    }
}

/// A count in a text.
fn count(line: usize, what: &'static str, text: &str) -> Result<u64, ImportError> {
    let error = |_| ImportError::value(line, what, "whole number", text);
    text.parse().map_err(error)
}

/// The unit of `ns/op` and `ns/iter`: a figure is that of one operation anyway.
fn of_one(unit: &str) -> &str {
    let short = unit
        .strip_suffix("/op")
        .or_else(|| unit.strip_suffix("/iter"));
    match short {
        Some("ns" | "us" | "µs" | "ms" | "s" | "sec" | "insns" | "ticks" | "cycles") => {
            short.unwrap_or(unit)
        }
        _ => unit,
    }
}
