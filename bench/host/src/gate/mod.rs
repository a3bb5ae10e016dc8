//! The gate of a pipeline: instruction counts against a committed baseline, to the instruction.
//!
//! A count under icount is equal from run to run, so there is no threshold: whatever differs, in either direction, was changed
//! by the code. A commit that means to change figures writes the baseline anew in the same commit (`--update`), and the
//! differences of that file are the ledger of the project's speed.

mod baseline;
mod mute;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;

use comfy_table::Cell;
use pagemark_record::{Clock, End, Figure, Verdict};

pub use baseline::{Baseline, BaselineError, Case};
pub use mute::{Mute, MuteError};

use crate::log::{Ending, Log};
use crate::style::{Look, counted, figure, indented};

/// Why a log cannot be held against a baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The log's figures are not exact.
    #[error("the gate takes instruction counts: the log's clock is {}, not icount", clock.map_or("unknown".to_owned(), |clock| clock.to_string()))]
    Clock {
        /// The log's clock, if it names one.
        clock: Option<Clock>,
    },
    /// The run did not pass, so its figures mean nothing.
    #[error("the run did not pass: it ended with {ending}")]
    Failed {
        /// How it ended.
        ending: String,
    },
    /// The figures are of something else.
    #[error("the baseline is of another machine or suite:\n  {}\n(--update writes a baseline of this one)", .0.join("\n  "))]
    Different(Vec<String>),
}

/// One statistic of one case that is not what the baseline says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The case.
    pub case: String,
    /// Which statistic.
    pub statistic: &'static str,
    /// What the baseline says.
    pub base: Figure,
    /// What was counted.
    pub new: Figure,
}

/// What the gate found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Cases that are as the baseline says.
    pub equal: usize,
    /// Figures that are not, in the baseline's order.
    pub differences: Vec<Difference>,
    /// Cases of the baseline that were not measured.
    pub gone: Vec<String>,
    /// Cases that the baseline does not know.
    pub unknown: Vec<String>,
    /// Of all these, what the mute list passes over: told, but no reason to fail.
    pub muted: Vec<String>,
}

impl Verdicts {
    /// Whether the log is as the baseline says.
    #[must_use]
    pub const fn pass(&self) -> bool {
        self.differences.is_empty() && self.gone.is_empty() && self.unknown.is_empty()
    }

    /// What differs, and what it amounts to.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let mut text = String::new();
        if !self.differences.is_empty() {
            let mut table = look.table();
            let titles = ["instructions (icount)", "baseline", "now", "difference"];
            look.header(&mut table, &titles);
            for difference in &self.differences {
                let Difference {
                    case,
                    statistic,
                    base,
                    new,
                } = difference;
                let name = match *statistic {
                    "median" => case.clone(),
                    statistic => format!("{case} ({statistic})"),
                };
                let sign = if new > base { '+' } else { '-' };
                let distance = new.max(base).saturating_sub(*new.min(base));
                let distance = format!("{sign}{}", figure(distance));
                let cells = [name, figure(*base), figure(*new), distance];
                table.add_row(cells.map(Cell::new));
            }
            text += &indented(&table, 2);
            text.push('\n');
        }
        for (what, cases) in [
            ("not measured any more", &self.gone),
            ("not in the baseline", &self.unknown),
            ("muted", &self.muted),
        ] {
            if !cases.is_empty() {
                let _ = writeln!(text, "  {what}: {}", cases.join(", "));
            }
        }
        let (more, fewer): (Vec<_>, Vec<_>) = self
            .differences
            .iter()
            .partition(|difference| difference.new > difference.base);
        let summary = format!(
            "{} as in the baseline, {} up, {} down",
            counted(self.equal, "case"),
            counted(more.len(), "figure"),
            counted(fewer.len(), "figure")
        );
        let summary = match self.pass() {
            true => look.good(&summary),
            false => look.bad(&summary),
        };
        text + &format!("  {summary}\n")
    }
}

/// Holds a log against a baseline.
///
/// # Errors
///
/// The log's figures cannot be, or are of something else.
pub fn gate(baseline: &Baseline, log: &Log, mute: &Mute) -> Result<Verdicts, Refusal> {
    let measured = measured(log)?;
    let different: Vec<_> = baseline
        .fingerprint
        .iter()
        .zip(&measured.fingerprint)
        .filter(|(base, new)| base != new)
        .map(|((key, base), (_, new))| format!("{key}: {base} | {new}"))
        .collect();
    if !different.is_empty() || baseline.fingerprint.len() != measured.fingerprint.len() {
        return Err(Refusal::Different(different));
    }
    let mut verdicts = Verdicts::default();
    let new: HashMap<_, _> = measured
        .cases
        .iter()
        .map(|case| (case.name.as_str(), case))
        .collect();
    for base in &baseline.cases {
        let differences = match new.get(base.name.as_str()) {
            Some(new) => base.differences(new),
            None if mute.mutes(&base.name) => {
                verdicts.muted.push(base.name.clone());
                continue;
            }
            None => {
                verdicts.gone.push(base.name.clone());
                continue;
            }
        };
        if differences.is_empty() {
            verdicts.equal += 1;
        } else if mute.mutes(&base.name) {
            verdicts.muted.push(base.name.clone());
        } else {
            verdicts.differences.extend(differences);
        }
    }
    for case in &measured.cases {
        if !baseline.cases.iter().any(|base| base.name == case.name) {
            let list = match mute.mutes(&case.name) {
                true => &mut verdicts.muted,
                false => &mut verdicts.unknown,
            };
            list.push(case.name.clone());
        }
    }
    Ok(verdicts)
}

/// The baseline that a log would make.
///
/// # Errors
///
/// Its figures are not exact, or the run did not pass.
pub fn measured(log: &Log) -> Result<Baseline, Refusal> {
    let clock = log.clock();
    let Some(machine) = log
        .machine
        .as_ref()
        .filter(|_| clock == Some(Clock::Icount))
    else {
        return Err(Refusal::Clock { clock });
    };
    let ending = match &log.ending {
        Ending::End(End {
            verdict: Verdict::Pass,
            ..
        }) => None,
        Ending::End(End { verdict, .. }) => Some(format!("the verdict {verdict}")),
        Ending::Panic(_) => Some("a panic".to_owned()),
    };
    if let Some(ending) = ending {
        return Err(Refusal::Failed { ending });
    }
    let fingerprint = [
        ("suite", log.start.suite.clone()),
        ("clock", machine.clock.to_string()),
        ("layout", machine.layout.clone()),
        ("loader", machine.loader.clone()),
        ("cpu", machine.cpu.clone()),
        ("cpus", machine.cpus.to_string()),
        ("ram-bytes", machine.ram_bytes.to_string()),
    ];
    Ok(Baseline {
        fingerprint: fingerprint
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
        cases: log.results.iter().map(Case::of).collect(),
    })
}
