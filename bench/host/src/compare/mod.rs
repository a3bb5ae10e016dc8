//! Two runs side by side, case by case. [`beside`] does so with figures that are no runs of ours.

pub mod allow;
pub mod beside;
mod fingerprint;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use comfy_table::Cell;
use pagemark_record::{CaseResult, Clock, End, Figure, Verdict};

use crate::log::{Ending, Log};
use crate::show::words;
use crate::style::{Look, counted, figure, indented, resolved};

pub use allow::Allow;
pub use fingerprint::Fingerprint;

/// On a clock that is not exact, a median that rose by more than this share, in per cent, is a regression.
pub const DEFAULT_THRESHOLD: f64 = 5.0;
/// And by more ticks than this: a counter may move in steps. What lies below the resolution of its case counts as that.
const TICK_FLOOR: u64 = 2;

/// How two runs compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    clock: Clock,
    threshold: f64,
    rows: Vec<Row>,
    only_base: Vec<String>,
    only_new: Vec<String>,
}

/// One figure of one case in both runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The case; the statistic behind it in brackets where it is not the median.
    pub name: String,
    /// The figure of the first run.
    pub base: Figure,
    /// The figure of the second run.
    pub new: Figure,
    /// Both as people read them.
    shown: [String; 2],
    /// What to make of it.
    pub change: Change,
}

/// What to make of two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// No difference that counts.
    None,
    /// The new run is slower.
    Regression,
    /// The new run is faster.
    Improvement,
}

/// Why two runs cannot be compared, each reason in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two runs do not compare:\n  {}\n(--ignore PART passes over one of them, --force over all but a clock's)", .0.join("\n  "))]
pub struct Refusal(Vec<String>);

/// Compares `base` with `new`. `allow` passes over different machines and failed runs, never over different clocks.
/// `threshold` is in per cent and counts on inexact clocks only.
pub fn compare(
    base: &Log,
    new: &Log,
    threshold: f64,
    allow: impl Into<Allow>,
) -> Result<Comparison, Refusal> {
    let reasons = allow.into().left(differences(base, new));
    let (Some(clock), Some(unit)) = (base.clock(), base.unit()) else {
        return Err(Refusal(vec!["base: the log names no machine".to_owned()]));
    };
    if !reasons.is_empty() || new.unit() != Some(unit) {
        return Err(Refusal(reasons));
    }
    let exact = [base.clock(), new.clock()] == [Some(Clock::Icount); 2];
    let known: HashMap<_, _> = new
        .results
        .iter()
        .map(|result| (result.case.as_str(), result))
        .collect();
    let mut comparison = Comparison {
        clock,
        threshold,
        rows: Vec::new(),
        only_base: Vec::new(),
        only_new: missing(new, base),
    };
    for result in &base.results {
        match known.get(result.case.as_str()) {
            Some(new) if exact => comparison.exact_rows(result, new),
            Some(new) => comparison.tick_row(result, new),
            None => comparison.only_base.push(result.case.clone()),
        }
    }
    Ok(comparison)
}

/// What makes the runs unlike, in words.
pub(crate) fn differences(base: &Log, new: &Log) -> Vec<String> {
    let mut reasons: Vec<String> = [("base", base), ("new", new)]
        .into_iter()
        .filter_map(|(side, log)| failure(side, log))
        .collect();
    reasons.extend(Fingerprint::of(base).unlike(&Fingerprint::of(new)));
    reasons
}

/// How a run failed, in words; none of one that passed.
pub(crate) fn failure(side: &str, log: &Log) -> Option<String> {
    match &log.ending {
        Ending::End(End {
            verdict: Verdict::Pass,
            ..
        }) => None,
        Ending::End(End { verdict, .. }) => Some(format!("{side}: the run's verdict is {verdict}")),
        Ending::Panic(_) => Some(format!("{side}: the run ended in a panic")),
    }
}

/// The cases of `log` that `other` has not.
fn missing(log: &Log, other: &Log) -> Vec<String> {
    let known = |case: &str| other.results.iter().any(|result| result.case == case);
    log.results
        .iter()
        .map(|result| result.case.clone())
        .filter(|case| !known(case))
        .collect()
}

impl Comparison {
    /// Exact figures: the median, and every other statistic that moved otherwise.
    fn exact_rows(&mut self, base: &CaseResult<String>, new: &CaseResult<String>) {
        let statistics = [
            ("", base.median, new.median),
            (" (min)", base.min, new.min),
            (" (p99)", base.p99, new.p99),
            (" (max)", base.max, new.max),
        ];
        for (statistic, before, after) in statistics {
            let is_of_the_median = (before, after) == (base.median, new.median);
            if statistic.is_empty() || (before != after && !is_of_the_median) {
                let change = match after.cmp(&before) {
                    std::cmp::Ordering::Less => Change::Improvement,
                    std::cmp::Ordering::Equal => Change::None,
                    std::cmp::Ordering::Greater => Change::Regression,
                };
                self.rows.push(Row {
                    name: base.case.clone() + statistic,
                    shown: [resolved(base, before), resolved(new, after)],
                    base: before,
                    new: after,
                    change,
                });
            }
        }
    }

    fn tick_row(&mut self, base: &CaseResult<String>, new: &CaseResult<String>) {
        let (before, after) = (
            base.at_least_resolution(base.median),
            new.at_least_resolution(new.median),
        );
        let beyond = |small: Figure, large: Figure| {
            let rise = large.less(small);
            rise > Figure::from(TICK_FLOOR)
                && rise.as_f64() * 100.0 > before.as_f64() * self.threshold
        };
        let change = match () {
            () if beyond(before, after) => Change::Regression,
            () if beyond(after, before) => Change::Improvement,
            () => Change::None,
        };
        self.rows.push(Row {
            name: base.case.clone(),
            shown: [resolved(base, base.median), resolved(new, new.median)],
            base: before,
            new: after,
            change,
        });
    }

    /// The figures, case by case in the base's order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Cases that the first run has and the second has not.
    pub fn only_base(&self) -> &[String] {
        &self.only_base
    }

    /// Cases that the second run has and the first has not.
    pub fn only_new(&self) -> &[String] {
        &self.only_new
    }

    /// How many figures moved that way.
    pub fn count(&self, change: Change) -> usize {
        self.rows.iter().filter(|row| row.change == change).count()
    }

    /// The table, and what it amounts to.
    pub fn render(&self, look: Look) -> String {
        let title = format!("{}, median ({})", words(self.clock.unit()), self.clock);
        let mut table = look.table();
        look.header(
            &mut table,
            &[&title, "base", "new", "difference", "per cent", ""],
        );
        for row in &self.rows {
            let [difference, share] = difference(row.base, row.new);
            let [base, new] = row.shown.clone();
            let figures = [base, new, difference, share].map(Cell::new);
            let mark = match row.change {
                Change::None => Cell::new(""),
                Change::Regression => colored(look, "slower", comfy_table::Color::Red),
                Change::Improvement => colored(look, "faster", comfy_table::Color::Green),
            };
            table.add_row(
                [Cell::new(&row.name)]
                    .into_iter()
                    .chain(figures)
                    .chain([mark]),
            );
        }
        let mut text = indented(&table, 2);
        for (side, cases) in [("base", &self.only_base), ("new", &self.only_new)] {
            if !cases.is_empty() {
                text += &format!("\n  only in {side}: {}\n", cases.join(", "));
            }
        }
        let rule = match self.clock {
            Clock::Icount => "exact: every rise is a regression".to_owned(),
            Clock::Tsc | Clock::Emulated => format!(
                "a median that rose by more than {} % and {TICK_FLOOR} ticks is a regression",
                self.threshold
            ),
        };
        let [slower, faster] =
            [Change::Regression, Change::Improvement].map(|change| self.count(change));
        let summary = format!(
            "{}, {}",
            counted(slower, "regression"),
            counted(faster, "improvement")
        );
        let summary = if slower == 0 {
            look.good(&summary)
        } else {
            look.bad(&summary)
        };
        text + &format!("\n  {summary} ({rule})\n")
    }
}

fn colored(look: Look, text: &str, color: comfy_table::Color) -> Cell {
    match look {
        Look::Plain => Cell::new(text),
        Look::Terminal => Cell::new(text).fg(color),
    }
}

/// The difference, signed, and its share of `base` in per cent.
fn difference(base: Figure, new: Figure) -> [String; 2] {
    if base == new {
        return ["0".to_owned(), String::new()];
    }
    let sign = if new > base { "+" } else { "-" };
    let distance = base.max(new).less(base.min(new));
    let share = if base <= Figure::default() {
        "from 0".to_owned()
    } else {
        let share = distance.as_f64() * 100.0 / base.as_f64();
        format!("{sign}{share:.2} %")
    };
    [format!("{sign}{}", figure(distance)), share]
}
