//! Change points over many logs: from which log on is a case slower or faster, and stays so?
//!
//! Logs, or texts of another program's benchmarks ([`go_text`]), are taken by machine, and in order of their dates. Under icount every step counts. Times are cut where the two parts differ
//! most by ranks, among all places with [`LEAST`] logs or more on either side, then each part again in the same way; a cut stands
//! while its Mann-Whitney probability, corrected for the places tried and for the cases, is at most [`ALPHA`], and its size is more
//! than the gate's floor. It is binary segmentation by a rank statistic, as E-divisive is by distances; ranks do not mind outliers
//! or the shape of the noise.

pub mod go_text;
mod table;
#[cfg(test)]
mod tests;
pub mod trace;

pub use table::render;

use std::collections::BTreeMap;

use pagemark_record::{CaseResult, Clock};
use serde::Serialize;

use crate::compare::Fingerprint;
use crate::gate::rank_test::p_value;
use crate::gate::ticks::{Boot, DEFAULT_FLOOR, median};
use crate::log::Log;
use crate::log::origin::Origin;
use crate::style::counted;

/// Logs on either side of a change of ticks.
pub const LEAST: usize = 5;
/// The probability of a change point where there is none, over all cases of a history.
pub const ALPHA: f64 = 0.01;
/// The normal deviate of a two-sided interval of 95 %.
const DEVIATE: f64 = 1.959_964;

/// From one log on a case has another figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The case.
    pub case: String,
    /// The place of the first log with the new figure, from 0.
    pub at: usize,
    /// That log's file.
    pub file: String,
    /// Its date.
    pub date: String,
    /// The revision of its image.
    pub revision: String,
    /// The median of the stretch before.
    pub before: f64,
    /// The median of the stretch from there on.
    pub after: f64,
    /// Bounds of the rise with 95 %, as shares; exact figures have none.
    pub interval: Option<[f64; 2]>,
}

impl Change {
    /// By how much it rose, as a share.
    pub fn rise(&self) -> f64 {
        (self.after - self.before) / self.before.max(f64::MIN_POSITIVE)
    }
}

/// One log as a history sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where it was read and when it was made.
    pub origin: Origin,
    /// The revision of what was measured.
    pub revision: String,
    /// Whether its figures repeat exactly.
    pub exact: bool,
    /// The medians, by case.
    pub figures: Boot,
}

impl From<&Log> for Point {
    fn from(log: &Log) -> Self {
        let median = |result: &CaseResult<String>| (result.case.clone(), result.median.as_f64());
        Self {
            origin: log.origin.clone(),
            revision: log.start.revision.clone(),
            exact: log.clock() == Some(Clock::Icount),
            figures: log.results.iter().map(median).collect(),
        }
    }
}

/// The logs of one machine and suite, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The machine in a few words.
    pub machine: String,
    /// Its logs.
    pub points: Vec<Point>,
}

impl History {
    /// Logs as they are, in their order.
    pub fn of(logs: &[Log]) -> Self {
        Self {
            machine: logs.first().map_or_else(String::new, machine),
            points: logs.iter().map(Point::from).collect(),
        }
    }

    /// Brings the logs into the order of time. Names order what has one date, or none.
    fn sort(&mut self) {
        self.points.sort_by_key(|point| {
            let origin = &point.origin;
            (
                origin.date.map(|date| date.time),
                origin.path.clone(),
                origin.run,
            )
        });
    }
}

/// The logs by machine and suite, each in order of time; machines in the order of their first log. `one` takes all logs for those
/// of one machine.
pub fn histories(logs: &[Log], one: bool) -> Vec<History> {
    let mut groups: Vec<(Fingerprint, Vec<&Log>)> = Vec::new();
    for log in logs {
        let found = Fingerprint::of(log);
        let group = groups
            .iter_mut()
            .find(|(known, _)| one || known.unlike(&found).is_empty());
        match group {
            Some((_, logs)) => logs.push(log),
            None => groups.push((found, vec![log])),
        }
    }
    let groups = groups.into_iter().map(|(_, logs)| {
        let mut history = History {
            machine: machine(logs[0]),
            points: logs.into_iter().map(Point::from).collect(),
        };
        history.sort();
        history
    });
    groups.collect()
}

/// A machine in a few words.
pub fn machine(log: &Log) -> String {
    let suite = &log.start.suite;
    let Some(machine) = &log.machine else {
        return format!("unknown machine, suite {suite}");
    };
    let name = log
        .word("machine")
        .map_or_else(String::new, |name| format!("{name}: "));
    format!(
        "{name}{}, {}, {}, suite {suite}",
        machine.cpu,
        counted(machine.cpus as usize, "CPU"),
        machine.clock
    )
}

/// The changes in a history, in order of time, then by case.
pub fn changes(history: &History) -> Vec<Change> {
    let logs = &history.points;
    let mut cases: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (at, log) in logs.iter().enumerate() {
        for (case, figure) in &log.figures {
            cases.entry(case).or_default().push((at, *figure));
        }
    }
    let exact = logs.iter().all(|log| log.exact);
    let alpha = ALPHA / cases.len().max(1) as f64;
    let mut changes = Vec::new();
    for (case, points) in cases {
        let figures: Vec<f64> = points.iter().map(|point| point.1).collect();
        let cuts = match exact {
            true => steps(&figures),
            false => cuts(&figures, alpha),
        };
        let bounds: Vec<usize> = [0]
            .into_iter()
            .chain(cuts.iter().copied())
            .chain([figures.len()])
            .collect();
        for stretch in bounds.windows(3) {
            let &[start, cut, end] = stretch else {
                continue;
            };
            let at = points[cut].0;
            let (before, after) = (&figures[start..cut], &figures[cut..end]);
            changes.push(Change {
                case: case.to_owned(),
                at,
                file: logs[at].origin.name(),
                date: logs[at].origin.date_shown(),
                revision: logs[at].revision.clone(),
                before: median(before),
                after: median(after),
                interval: (!exact).then(|| interval(before, after)),
            });
        }
    }
    changes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.case.cmp(&b.case)));
    changes
}

/// Where exact figures change.
fn steps(figures: &[f64]) -> Vec<usize> {
    (1..figures.len())
        .filter(|&at| figures[at] != figures[at - 1])
        .collect()
}

/// Where noisy figures change, in order; `alpha` is the probability of a cut in a series without a change.
fn cuts(figures: &[f64], alpha: f64) -> Vec<usize> {
    let places = LEAST..(figures.len() + 1).saturating_sub(LEAST);
    let tried = places.len() as f64;
    let total = figures.len() as f64;
    let mut before = 0.0;
    let sums: Vec<f64> = midranks(figures)
        .iter()
        .map(|rank| {
            before += rank;
            before
        })
        .collect();
    // How far the ranks before a place lie from their mean, in standard deviations.
    let deviation = |at: usize| {
        let (left, right) = (at as f64, total - at as f64);
        (sums[at - 1] - left * (total + 1.0) / 2.0).abs()
            / (left * right * (total + 1.0) / 12.0).sqrt()
    };
    let best = places.max_by(|&a, &b| deviation(a).total_cmp(&deviation(b)));
    match best {
        Some(at)
            if p_value(&figures[..at], &figures[at..]) * tried <= alpha
                && moved(&figures[..at], &figures[at..]) =>
        {
            let right = cuts(&figures[at..], alpha).into_iter().map(|cut| cut + at);
            cuts(&figures[..at], alpha)
                .into_iter()
                .chain([at])
                .chain(right)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the medians lie apart by more than the least change that counts.
fn moved(before: &[f64], after: &[f64]) -> bool {
    let (before, after) = (median(before), median(after));
    (after - before).abs() > DEFAULT_FLOOR * before
}

/// The rank of each figure, from 1; equal ones share the mean of theirs.
fn midranks(figures: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..figures.len()).collect();
    order.sort_by(|&a, &b| figures[a].total_cmp(&figures[b]));
    let mut ranks = vec![0.0; figures.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| figures[a] == figures[b]) {
        let midrank = first as f64 + (tied.len() + 1) as f64 / 2.0;
        for &place in tied {
            ranks[place] = midrank;
        }
        first += tied.len();
    }
    ranks
}

/// Bounds of the rise as shares of the median before, from the distances of all pairs (Hodges and Lehmann, "Estimates of location
/// based on rank tests", 1963; Moses' interval).
fn interval(before: &[f64], after: &[f64]) -> [f64; 2] {
    let mut distances: Vec<f64> = before
        .iter()
        .flat_map(|a| after.iter().map(move |b| b - a))
        .collect();
    distances.sort_by(f64::total_cmp);
    let (m, n) = (before.len() as f64, after.len() as f64);
    let outside = m * n / 2.0 - DEVIATE * (m * n * (m + n + 1.0) / 12.0).sqrt();
    let outside = (outside.floor().max(0.0) as usize).min((distances.len() - 1) / 2);
    let middle = median(before).max(f64::MIN_POSITIVE);
    [
        distances[outside] / middle,
        distances[distances.len() - 1 - outside] / middle,
    ]
}

/// What differs between the first machine of `logs` and any other, in words; empty where they are one.
pub fn machines(logs: &[Log]) -> Vec<String> {
    let Some((first, others)) = logs.split_first() else {
        return Vec::new();
    };
    let first = Fingerprint::of(first);
    let mut differing: Vec<String> = others
        .iter()
        .flat_map(|log| first.unlike(&Fingerprint::of(log)))
        .collect();
    differing.sort();
    differing.dedup();
    differing
}
