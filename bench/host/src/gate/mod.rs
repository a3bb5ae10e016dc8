//! Holds new runs against a base and judges every case: the pipeline's answer to "did a path become slower?".
//!
//! - [`baseline`]: the committed figures of a run under icount, one line a case;
//! - [`exact`]: instruction counts, which have to be equal;
//! - [`ticks`]: times, by a joint test of all cases over boots ([`joint_test`], over [`labelings`]), with a rank test of each case
//!   beside it ([`rank_test`]);
//! - [`mute`]: cases whose changes are told and do not count;
//! - [`report`]: the table.

pub mod baseline;
pub mod exact;
pub mod joint_test;
pub mod labelings;
pub mod mute;
pub mod rank_test;
mod report;
pub mod ticks;

#[cfg(test)]
mod joint_tests;
#[cfg(test)]
mod tests;

use pagemark_record::{CaseResult, Clock};

use crate::compare::{differences, failure};
use crate::gate::baseline::Baseline;
use crate::gate::mute::Mutes;
use crate::log::Log;

/// What one case's figures come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// No change that can be told from chance.
    Same,
    /// Slower.
    Slower,
    /// Faster.
    Faster,
    /// The base has no figure of it.
    Added,
    /// The base has a figure of it, the new runs have none.
    Gone,
    /// There are too few boots to tell.
    CannotDecide,
}

/// One case on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The case; the statistic behind it in brackets where it is not the median.
    pub name: String,
    /// The figure of the base.
    pub base: Option<f64>,
    /// The figure of the new runs.
    pub new: Option<f64>,
    /// What they come to.
    pub finding: Finding,
    /// The probability of such ranks by chance, of the case alone: Mann-Whitney's; none of exact figures.
    pub p: Option<f64>,
    /// The probability of such a difference by chance anywhere in the suite, by which the case is judged; one too great to be
    /// judged a change is an estimate. None of exact figures, and where there are too few boots.
    pub joint_p: Option<f64>,
    /// The case is on the list of those whose changes do not count.
    pub muted: bool,
    /// Which functions execute more or fewer instructions, where that was looked for.
    pub blame: Vec<String>,
}

impl Row {
    /// The case, without a statistic's name.
    pub fn case(&self) -> &str {
        self.name.split(" (").next().unwrap_or(&self.name)
    }

    /// By how much it rose, as a share of the base; 0 where one side lacks.
    pub fn rise(&self) -> f64 {
        match (self.base, self.new) {
            (Some(base), Some(new)) if base != new => (new - base) / base.max(f64::MIN_POSITIVE),
            _ => 0.0,
        }
    }
}

/// All cases, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What the figures are.
    pub clock: Clock,
    /// How they were judged, in words.
    pub rule: String,
    /// One for each case, and for each further statistic of exact figures that moved by itself.
    pub rows: Vec<Row>,
    /// On which machine changed cases were traced, in words; empty where none was.
    pub traced: Vec<String>,
}

/// Why the two sides cannot be held against each other, each reason in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two sides do not compare:\n  {}\n(--force compares them all the same)", .0.join("\n  "))]
pub struct Refusal(pub Vec<String>);

impl Judgement {
    /// Marks the rows that `mutes` name.
    pub fn mute(&mut self, mutes: &Mutes) {
        for row in &mut self.rows {
            row.muted = mutes.contains(row.case());
        }
    }

    /// How many rows that are not muted came to this.
    pub fn count(&self, finding: Finding) -> usize {
        let counts = |row: &&Row| !row.muted && row.finding == finding;
        self.rows.iter().filter(counts).count()
    }

    /// Whether a row that counts stops the gate. Of exact figures every difference does: whoever means it commits the new
    /// baseline with it. Of ticks only slower ones and lost ones do.
    pub fn fails(&self) -> bool {
        self.rows
            .iter()
            .any(|row| !row.muted && self.stops(row.finding))
    }

    /// Whether such a finding stops the gate on this clock.
    pub fn stops(&self, finding: Finding) -> bool {
        match finding {
            Finding::Same | Finding::CannotDecide => false,
            Finding::Slower | Finding::Gone => true,
            Finding::Faster | Finding::Added => self.clock == Clock::Icount,
        }
    }
}

/// Holds the boots `new` against the boots `base`, by the rule of their clock. `force` passes over different machines, clocks and
/// suites, and failed runs.
pub fn judge_logs(
    base: &[Log],
    new: &[Log],
    history: &[Log],
    false_alarms: f64,
    force: bool,
) -> Result<Judgement, Refusal> {
    let Some(first) = base.first() else {
        return Err(Refusal(vec!["base: no log".to_owned()]));
    };
    let mut reasons: Vec<String> = base[1..]
        .iter()
        .chain(new)
        .flat_map(|log| differences(first, log))
        .collect();
    reasons.sort();
    reasons.dedup();
    if !force && !reasons.is_empty() {
        return Err(Refusal(reasons));
    }
    let all = || base.iter().chain(new);
    if all().any(|log| log.clock() == Some(Clock::Emulated)) && !force {
        return Err(Refusal(vec![
            "the clock is an emulator's: its times say nothing about any CPU".to_owned(),
        ]));
    }
    if all().all(|log| log.clock() == Some(Clock::Icount)) {
        return exact::judge(&agreed("base", base)?, &agreed("new", new)?, force);
    }
    Ok(ticks::judge(
        &boots(base),
        &boots(new),
        &ticks::floors(&medians(history)),
        first.clock().unwrap_or(Clock::Emulated),
        false_alarms,
    ))
}

/// The figures that all logs of one side, under icount, have.
pub fn agreed(side: &str, logs: &[Log]) -> Result<Baseline, Refusal> {
    let refusal = |what: String| Refusal(vec![format!("{side}: {what}")]);
    let mut all = logs.iter().map(Baseline::of);
    let Some(Some(first)) = all.next() else {
        return Err(refusal("no log that counts instructions".to_owned()));
    };
    for other in all {
        let other =
            other.ok_or_else(|| refusal("a log that does not count instructions".to_owned()))?;
        if let Some(case) = first
            .cases
            .keys()
            .find(|case| first.cases.get(*case) != other.cases.get(*case))
        {
            return Err(refusal(format!(
                "{case} has not the same figures in all logs, as it must under icount"
            )));
        }
    }
    Ok(first)
}

/// The medians of each log, by case.
pub fn boots(logs: &[Log]) -> Vec<ticks::Boot> {
    let median = |result: &CaseResult<String>| (result.case.clone(), result.median.as_f64());
    logs.iter()
        .map(|log| log.results.iter().map(median).collect())
        .collect()
}

/// Each case's medians, in the order of the logs that have it.
pub fn medians(logs: &[Log]) -> ticks::Series {
    let mut series = ticks::Series::new();
    for result in logs.iter().flat_map(|log| &log.results) {
        series
            .entry(result.case.clone())
            .or_default()
            .push(result.median.as_f64());
    }
    series
}

/// Refuses runs that did not pass.
pub fn passed(side: &str, logs: &[Log], force: bool) -> Result<(), Refusal> {
    let reasons: Vec<String> = logs.iter().filter_map(|log| failure(side, log)).collect();
    if force || reasons.is_empty() {
        Ok(())
    } else {
        Err(Refusal(reasons))
    }
}
