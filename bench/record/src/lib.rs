//! The wire format of pagemark's serial log, defined once for the image that writes it and the host tool that reads it.
//!
//! A log is lines of text, each ended by a line feed, of four kinds:
//!
//! - records: [`PREFIX`] and one JSON object, tagged by its key `record` ([`Record`]);
//! - Go benchmark lines (`Benchmark…`), with their `Unit …` and `key: value` lines, so that the log itself is input for
//!   benchstat, which passes over every other line;
//! - text for people, each line of which begins with `# `;
//! - whatever loaders and firmware printed, before the first record and after the last.
//!
//! The first record is `start`, the last is `end`, or `panic` when the image could not go on. `end` carries the number of
//! lines and their CRC-32 ([`LineSum`] says over which bytes), so that a log which lost a line is never read as whole.
//! A reader that meets neither `end` nor `panic` has the log of a failed run.
//!
//! The image writes with [`LogWriter`]; nothing here allocates. Reading (`serde::Deserialize` for [`Record`]) needs the
//! feature `read`.
#![no_std]

// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
extern crate std;

pub mod brief;
mod checksum;
mod exit;
mod figure;
mod hex;
mod record;
mod series;
mod signal;
mod source;
mod text;
mod vmallocinfo;
mod writer;

#[cfg(test)]
mod tests;

pub use checksum::LineSum;
pub use exit::ExitCode;
pub use figure::{Figure, NoFigure};
pub use hex::Hex;
pub use record::{
    Advice, AdviceKind, Boot, Buddyinfo, CaseResult, Check, Class, Clock, CoreKind, Counts, Cpu,
    Crossover, Disturbances, End, Environment, Error, Frames, Frequencies, MAX_ADDRESSES, Machine,
    Moment, Notice, ORDERS, Panic, Probe, Record, Region, Skip, Start, Tag, Translations, Unit,
    Verdict, Zone,
};
#[cfg(feature = "read")]
pub use series::read_series;
pub use series::{MAX_SERIES, Series};
pub use signal::{TestCase, TestResult};
pub use source::source;
pub use text::{MAX_TEXT, Text};
pub use vmallocinfo::{Access, Area, AreaKind, MAX_AREAS, MemoryType, Vmallocinfo};
pub use writer::{LogWriter, is_case_name};

/// What a line that carries a record begins with. benchstat would take a first word that ends in a colon for one of its own
/// `key: value` lines; this one it passes over.
pub const PREFIX: &str = "@pagemark ";

/// The version of the records. It is raised when a reader of the version before would misread a log, or refuse one: since 3 a figure
/// may be negative, and there is a crossover for each working set.
pub const SCHEMA: u32 = 3;

/// The oldest version whose records are read.
pub const OLDEST_SCHEMA: u32 = 2;
