//! Holds new runs against a base and judges every case: the pipeline's answer to "did a path become slower?".
//!
//! - [`baseline`]: the committed figures of a run under icount, one line a case;
//! - [`exact`]: instruction counts, which have to be equal;
//! - [`ticks`]: times, by two joint tests of all cases over boots, both of which have to find a change: one permutes boots
//!   ([`joint_test`], over [`labelings`]), the other lets the sides differ in noise ([`welch`]). A rank test of each case stands
//!   beside it ([`rank_test`]), and [`suite`] judges all cases as one;
//! - [`turns`]: whether the sides took turns, without which a drift is a change;
//! - [`go_text`]: the same of Go benchmark text, from any program;
//! - [`mute`]: cases whose changes are reported and do not count;
//! - [`report`]: the table.

pub mod baseline;
pub mod exact;
pub mod go_text;
pub mod joint_test;
pub mod labelings;
pub mod mute;
pub mod rank_test;
mod report;
pub mod suite;
pub mod ticks;
pub mod turns;
pub mod welch;

#[cfg(test)]
mod joint_tests;
#[cfg(test)]
mod tests;

use pagemark_record::{CaseResult, Clock};

use crate::compare::{Allow, Fingerprint, differences, failure};
use crate::gate::baseline::Baseline;
use crate::gate::mute::Mutes;
use crate::gate::turns::Turns;
use crate::log::Log;
use crate::style::counted;

/// What one case's figures come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// No change that differs from chance.
    Same,
    /// Slower.
    Slower,
    /// Faster.
    Faster,
    /// The base has no figure of it.
    Added,
    /// The base has a figure of it, the new runs have none.
    Gone,
    /// There are too few boots to decide.
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
    /// They are core cycles of the clock's ticks: [`judged_in_cycles`].
    pub in_cycles: bool,
    /// How they were judged, in words.
    pub rule: String,
    /// One for each case, and for each further statistic of exact figures that moved by itself.
    pub rows: Vec<Row>,
    /// All cases as one; none of exact figures, and where there are few cases or boots.
    pub suite: Option<Row>,
    /// What was left out, and what is not known, in sentences.
    pub notes: Vec<String>,
    /// On which machine changed cases were traced, in words; empty where none was.
    pub traced: Vec<String>,
}

/// Why the two sides cannot be held against each other, each reason in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two sides do not compare:\n  {}\n(--ignore PART passes over one of them, --force over all but a clock's)", .0.join("\n  "))]
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

    /// Whether a row that counts stops the gate. Of exact figures every difference does: a commit that intends one
    /// carries the new baseline. Of ticks only slower ones and lost ones do.
    pub fn fails(&self) -> bool {
        let rows = self.rows.iter().chain(&self.suite);
        rows.into_iter()
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

/// Holds the boots `new` against the boots `base`, by the rule of their clock. `allow` passes over different machines and suites,
/// failed runs, and sides that did not take turns; never over different clocks.
///
/// # Errors
///
/// What makes the sides no two sides of one thing.
pub fn judge_logs(
    base: &[Log],
    new: &[Log],
    history: &[Log],
    false_alarms: f64,
    allow: impl Into<Allow>,
) -> Result<Judgement, Refusal> {
    let allow = allow.into();
    let Some(first) = base.first() else {
        return Err(Refusal(vec!["base: no log".to_owned()]));
    };
    if new.is_empty() {
        return Err(Refusal(vec!["new: no log".to_owned()]));
    }
    let reasons: Vec<String> = base[1..]
        .iter()
        .chain(new)
        .flat_map(|log| differences(first, log))
        .collect();
    refuse(allow.left(once(reasons)))?;
    let all = || base.iter().chain(new);
    if all().any(|log| log.clock() == Some(Clock::Emulated)) && !allow.force {
        return Err(Refusal(vec![
            "the clock is an emulator's: its times say nothing about any CPU".to_owned(),
        ]));
    }
    if all().all(|log| log.clock() == Some(Clock::Icount)) {
        return exact::judge(&agreed("base", base)?, &agreed("new", new)?, allow);
    }
    let mut notes = Vec::new();
    let [base, new] = [("base", base), ("new", new)].map(|(side, logs)| {
        let (logs, equal) = distinct(logs);
        if equal > 0 {
            notes.push(format!(
                "{side}: {} equal to another, counted once",
                counted(equal, "log")
            ));
        }
        logs
    });
    let turns = Turns::of(&base, &new);
    let mut reasons = [mixed("base", &base), mixed("new", &new)].concat();
    if let Some(log) = base
        .iter()
        .find(|log| new.iter().any(|other| is_copy(log, other)))
    {
        reasons.push(format!("one log is on both sides: {}", log.origin.name()));
    }
    if turns.are_missing() {
        reasons.push(format!(
            "turns: the boots of the two sides did not take turns ({turns}), so a drift meanwhile would count as a change"
        ));
    }
    reasons.extend(history.iter().flat_map(|log| {
        let unlike = Fingerprint::of(first)
            .unlike(&Fingerprint::of(log))
            .into_iter();
        // A suite is no part of the machine.
        unlike
            .filter(|reason| !reason.starts_with("suite: "))
            .map(|reason| format!("history: {reason}"))
    }));
    refuse(allow.left(once(reasons)))?;
    if turns == Turns::Unknown {
        notes.push("the logs do not say when they were made: if the sides did not take turns, a drift counts as a change".to_owned());
    }
    let in_cycles = [&base[..], &new, history].into_iter().all(judged_in_cycles);
    let measured = [&base, &new].map(|logs| boots(logs, in_cycles));
    let floors = ticks::floors(&series(history, in_cycles), [base.len(), new.len()]);
    let clock = first.clock().unwrap_or(Clock::Emulated);
    let [base, new] = &measured;
    let mut judgement = ticks::judge_in_time(base, new, &floors, clock, false_alarms, &turns);
    judgement.in_cycles = in_cycles;
    judgement.notes = notes;
    Ok(judgement)
}

/// Refuses where there is a reason to.
fn refuse(reasons: Vec<String>) -> Result<(), Refusal> {
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Refusal(reasons)),
    }
}

fn once(mut reasons: Vec<String>) -> Vec<String> {
    reasons.sort();
    reasons.dedup();
    reasons
}

/// Whether two logs are one that was copied: no two boots on a clock of time have all figures alike.
fn is_copy(log: &Log, other: &Log) -> bool {
    log.ending == other.ending && log.results == other.results
}

/// The logs, each once, and how many were left out.
fn distinct(logs: &[Log]) -> (Vec<Log>, usize) {
    let mut kept: Vec<Log> = Vec::new();
    for log in logs {
        if !kept.iter().any(|other| is_copy(log, other)) {
            kept.push(log.clone());
        }
    }
    let equal = logs.len() - kept.len();
    (kept, equal)
}

/// Of which images a side is made, if of more than one.
fn mixed(side: &str, logs: &[Log]) -> Vec<String> {
    let image = |log: &Log| match log.start.text_offset {
        0 => log.start.revision.clone(),
        offset => format!("{} at offset {offset}", log.start.revision),
    };
    let images: std::collections::BTreeSet<String> = logs.iter().map(image).collect();
    match images.len() {
        0 | 1 => Vec::new(),
        _ => {
            let images: Vec<String> = images.into_iter().collect();
            vec![format!(
                "revision: {side} mixes images: {}",
                images.join(" | ")
            )]
        }
    }
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

/// Whether times are judged in core cycles: those of a process, each of whose rounds has the core's rate measured beside it. The rate of a core
/// that other programs use, too, moves by more than many a change of a case.
pub fn judged_in_cycles(logs: &[Log]) -> bool {
    logs.iter().all(|log| {
        let machine = log.machine.as_ref();
        machine.is_some_and(|machine| machine.loader == "process")
            && log.results.iter().all(|result| result.cycles.is_some())
    })
}

/// The figure of each case in each log: its median, in ticks or in core cycles.
pub fn boots(logs: &[Log], in_cycles: bool) -> Vec<ticks::Boot> {
    let figure = |result: &CaseResult<String>| {
        let cycles = result.cycles.filter(|_| in_cycles);
        (
            result.case.clone(),
            cycles.unwrap_or(result.median).as_f64(),
        )
    };
    logs.iter()
        .map(|log| log.results.iter().map(figure).collect())
        .collect()
}

/// Each case's figures, in the order of the logs that have it.
fn series(logs: &[Log], in_cycles: bool) -> ticks::Series {
    let mut series = ticks::Series::new();
    for (case, figure) in boots(logs, in_cycles).into_iter().flatten() {
        series.entry(case).or_default().push(figure);
    }
    series
}

/// Refuses runs that did not pass.
pub fn passed(side: &str, logs: &[Log], allow: &Allow) -> Result<(), Refusal> {
    let reasons = logs.iter().filter_map(|log| failure(side, log)).collect();
    refuse(allow.left(reasons))
}
