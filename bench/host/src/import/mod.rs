//! Reads the figures of other tools, to show them and to set them beside ours.
//!
//! One file a format: [`go_text`], [`bmf`], [`google_benchmark`], [`smaller_is_better`], [`data_js`], [`criterion`],
//! [`test_vmalloc`], [`kvm_unit_tests`], [`sel4bench`]; each says where its format is defined, and what of it is lost here.
//! [`source`] finds out what a file holds.
//!
//! Damaged input is an error that names the line and the value, never a figure that the file does not have. What a file says of a
//! benchmark that has no figure (skipped, failed) becomes a note.

pub mod bmf;
pub mod criterion;
pub mod data_js;
mod error;
pub mod go_text;
pub mod google_benchmark;
mod json;
pub mod kvm_unit_tests;
pub mod sel4bench;
pub mod smaller_is_better;
pub mod source;
pub mod test_vmalloc;
#[cfg(test)]
mod tests;

pub use error::ImportError;
use serde_json::Value;

use crate::figures::{Entry, pool};
use crate::log::{lines, printable};

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
    /// criterion's estimates.json; or the folder target/criterion
    Criterion,
    /// What Linux's module test_vmalloc writes to the kernel's log
    TestVmalloc,
    /// What vmexit of kvm-unit-tests writes
    KvmUnitTests,
    /// The JSON of sel4bench, alone or in its serial log, or a history of sel4bench-results
    Sel4bench,
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
    pub const ALL: [Self; 9] = [
        Self::Criterion,
        Self::Sel4bench,
        Self::GoogleBenchmark,
        Self::SmallerIsBetter,
        Self::Bmf,
        Self::DataJs,
        Self::GoText,
        Self::TestVmalloc,
        Self::KvmUnitTests,
    ];

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoText => "Go benchmark text",
            Self::Bmf => "Bencher metric format",
            Self::GoogleBenchmark => "google-benchmark JSON",
            Self::SmallerIsBetter => "customSmallerIsBetter of github-action-benchmark",
            Self::DataJs => "data.js of github-action-benchmark",
            Self::Criterion => "criterion's estimates.json",
            Self::TestVmalloc => "log of test_vmalloc",
            Self::KvmUnitTests => "text of kvm-unit-tests' vmexit",
            Self::Sel4bench => "sel4bench JSON",
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
            Self::Criterion => "the median of a benchmark",
            Self::TestVmalloc => "the mean of a test's turns, and of the workers' means the median",
            Self::KvmUnitTests => "the mean of a test's turns",
            Self::Sel4bench => "the median of a row, or its mean where it has no other statistic",
        }
    }

    /// The format of a file, by its content.
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        let value = json::looks_like_it(bytes)
            .then(|| json::value(bytes))
            .flatten();
        let json = |is_one: fn(&Value) -> bool| value.as_ref().is_some_and(is_one);
        Self::ALL.into_iter().find(|format| match format {
            Self::Criterion => json(criterion::is_one),
            Self::Sel4bench => json(sel4bench::is_array) || sel4bench::is_one(bytes),
            Self::GoogleBenchmark => json(google_benchmark::is_one),
            Self::SmallerIsBetter => json(smaller_is_better::is_one),
            Self::Bmf => json(bmf::is_one),
            Self::DataJs => data_js::is_one(bytes),
            Self::GoText => go_text::is_one(bytes),
            Self::TestVmalloc => test_vmalloc::is_one(bytes),
            Self::KvmUnitTests => kvm_unit_tests::is_one(bytes),
        })
    }
}

/// Reads a file of that format. `name` is that of a figure in a format whose files do not say it, which is criterion's.
pub fn read(format: Format, bytes: &[u8], name: &str) -> Result<Foreign, ImportError> {
    let Found { entries, notes } = match format {
        Format::GoText => go_text::read(bytes)?.into(),
        Format::Bmf => bmf::read(bytes)?.into(),
        Format::GoogleBenchmark => google_benchmark::read(bytes)?,
        Format::SmallerIsBetter => smaller_is_better::read(bytes)?,
        Format::DataJs => data_js::read(bytes)?,
        Format::Criterion => criterion::read(bytes, name)?.into(),
        Format::TestVmalloc => test_vmalloc::read(bytes)?,
        Format::KvmUnitTests => kvm_unit_tests::read(bytes)?,
        Format::Sel4bench => sel4bench::read(bytes)?,
    };
    if entries.is_empty() {
        return Err(ImportError::Empty {
            format: format.name(),
            notes,
        });
    }
    let shown = |text: String| printable::text(&text).into_owned();
    let entries = entries.into_iter().map(|entry| Entry {
        name: shown(entry.name),
        unit: shown(entry.unit),
        ..entry
    });
    Ok(Foreign {
        format,
        entries: pool(entries.collect()),
        notes: notes.into_iter().map(shown).collect(),
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
