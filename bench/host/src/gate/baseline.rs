//! The committed figures of a run under icount: text, sorted by case, one line a case, so that a diff of the file is the
//! ledger of what became faster and slower. With made-up figures:
//!
//! ```text
//! # pagemark baseline 1
//! suite: quick
//! clock: icount
//! ...
//! pt/map/pages=1 75
//! pt/map/pages=512 21504 min=21500 p99=21733 max=22000
//! tlb/invpcid/type=all skip
//! ```
//!
//! The figure is the median; other statistics stand behind it where they differ from it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pagemark_record::{CaseResult, Clock, Figure, is_case_name};

use crate::compare::Fingerprint;
use crate::log::Log;

/// The first line of every baseline of this version.
pub const TITLE: &str = "# pagemark baseline 1";

/// The figures of one case, or that it does not run on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was measured.
    Measured(Exact),
    /// It was skipped.
    Skipped,
}

/// Four order statistics of a case, in instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// The smallest sample.
    pub min: Figure,
    /// The middle one.
    pub median: Figure,
    /// The one that 99 % do not exceed.
    pub p99: Figure,
    /// The largest.
    pub max: Figure,
}

/// A baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The machine and the suite that they are of.
    pub fingerprint: Fingerprint,
    /// The cases.
    pub cases: BTreeMap<String, Entry>,
}

/// Why a text is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadBaseline {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl From<&CaseResult<String>> for Exact {
    fn from(result: &CaseResult<String>) -> Self {
        Self {
            min: result.min,
            median: result.median,
            p99: result.p99,
            max: result.max,
        }
    }
}

impl Baseline {
    /// The baseline that `log` amounts to; none of a clock that is not exact.
    pub fn of(log: &Log) -> Option<Self> {
        if log.clock() != Some(Clock::Icount) {
            return None;
        }
        let measured = log
            .results
            .iter()
            .map(|result| (result.case.clone(), Entry::Measured(result.into())));
        let skipped = log
            .skips
            .iter()
            .map(|skip| (skip.case.clone(), Entry::Skipped));
        Some(Self {
            fingerprint: Fingerprint::of(log),
            cases: measured.chain(skipped).collect(),
        })
    }

    /// Whether a file begins as a baseline does.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"# pagemark baseline")
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        writeln!(
            f,
            "# Median instructions, one line a case; other statistics where they differ. `pagemark gate --update` writes this."
        )?;
        for (what, value) in &self.fingerprint.parts {
            writeln!(f, "{what}: {value}")?;
        }
        for (case, entry) in &self.cases {
            match entry {
                Entry::Skipped => writeln!(f, "{case} skip")?,
                Entry::Measured(exact) => {
                    write!(f, "{case} {}", exact.median)?;
                    for (key, figure) in exact.others() {
                        if figure != exact.median {
                            write!(f, " {key}={figure}")?;
                        }
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

impl Exact {
    /// Every statistic but the median, with its name.
    pub fn others(&self) -> [(&'static str, Figure); 3] {
        [("min", self.min), ("p99", self.p99), ("max", self.max)]
    }
}

impl FromStr for Baseline {
    type Err = BadBaseline;

    fn from_str(text: &str) -> Result<Self, BadBaseline> {
        let mut baseline = Self::default();
        if text.lines().next().map(str::trim_end) != Some(TITLE) {
            return Err(BadBaseline {
                line: 1,
                what: format!("{TITLE:?} is missing"),
            });
        }
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            baseline.line(line).map_err(|what| BadBaseline {
                line: index + 1,
                what,
            })?;
        }
        Ok(baseline)
    }
}

impl Baseline {
    fn line(&mut self, line: &str) -> Result<(), String> {
        // Names of cases have no `: ` in them, nor spaces.
        if let Some((what, value)) = line.split_once(": ") {
            return match self
                .fingerprint
                .parts
                .insert(what.to_owned(), value.trim().to_owned())
            {
                None => Ok(()),
                Some(_) => Err(format!("a second {what:?}")),
            };
        }
        let mut words = line.split(' ');
        let case = words.next().unwrap_or_default();
        if !is_case_name(case) {
            return Err(format!("{case:?} cannot be the name of a case"));
        }
        let figure = words
            .next()
            .ok_or_else(|| format!("{case} has no figure"))?;
        let entry = match figure {
            "skip" => Entry::Skipped,
            _ => Entry::Measured(exact(number(figure)?, &mut words)?),
        };
        if let Some(word) = words.next() {
            return Err(format!("{word:?} is one word too many"));
        }
        match self.cases.insert(case.to_owned(), entry) {
            None => Ok(()),
            Some(_) => Err(format!("a second {case}")),
        }
    }
}

fn exact<'a>(median: Figure, words: &mut impl Iterator<Item = &'a str>) -> Result<Exact, String> {
    let mut exact = Exact {
        min: median,
        median,
        p99: median,
        max: median,
    };
    for word in words {
        let slot = match word.split_once('=') {
            Some(("min", value)) => (&mut exact.min, value),
            Some(("p99", value)) => (&mut exact.p99, value),
            Some(("max", value)) => (&mut exact.max, value),
            _ => return Err(format!("{word:?} is no statistic")),
        };
        *slot.0 = number(slot.1)?;
    }
    Ok(exact)
}

fn number(text: &str) -> Result<Figure, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is no figure: {error}"))
}
