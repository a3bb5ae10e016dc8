//! What the samples of a case come to: its result in the log, with the bounds of its median.

use arrayvec::ArrayVec;
use pagemark_bracket::resolution::{Known, resolution, step};
use pagemark_bracket::sample::METERED;
use pagemark_record::{CaseResult, Clock, Counts, Figure, Record, Series};
use pagemark_statistics::{Summary, summarise};
use pagemark_verdict::outer_fence;

use pagemark::console::log;

use super::ledger::{Entry, MAX_COUNTED, MAX_SAMPLES};
use super::pace::Pace;
use super::round;
use crate::environment::Witness;

/// Samples that lie far above the others, on a clock where that is none of the operation's doing.
fn outliers(samples: &[Figure], summary: &Summary<Figure>) -> u32 {
    let [p25, median, p75] = [summary.p25, summary.median, summary.p75].map(Figure::thousandths);
    let fence = outer_fence(p25, median, p75);
    let above = samples.iter().filter(|sample| sample.thousandths() > fence);
    above.count() as u32
}

/// What the figures of a run are counted in.
pub struct Timing {
    /// What a tick is.
    pub clock: Clock,
    /// The step in which the clock moves, in ticks.
    pub quantum: u64,
    /// Ticks a second, where they are known and constant.
    pub hertz: Option<u64>,
    /// How steadily the machine runs, where the passes are too few to show it.
    pub pace: Option<Pace>,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            clock: Clock::Emulated,
            quantum: 1,
            hertz: None,
            pace: None,
        }
    }
}

impl Timing {
    /// The bounds of a median of samples of `batch` operations, with the steps of a clock that has steps and the unsteadiness of a
    /// machine that few passes do not show: order statistics know nothing of those. `overhead` was taken off the samples.
    pub fn bounds(&self, summary: &Summary<Figure>, batch: u32, overhead: Figure) -> [Figure; 2] {
        let [low, high] = summary.interval;
        if self.clock == Clock::Icount {
            return [low, high];
        }
        let step = step(self.quantum, batch);
        let bounds = [low.less(step), high.less(Figure::default().less(step))];
        match &self.pace {
            Some(pace) => pace.widen(bounds, overhead),
            None => bounds,
        }
    }
}

/// Sums a case up. `overhead` is what the harness costs its class.
pub fn record_result(
    entry: &mut Entry,
    overhead: Figure,
    timing: &Timing,
    witness: Option<&Witness>,
) {
    let Timing {
        clock,
        quantum,
        hertz,
        ..
    } = *timing;
    let Some(empties) = summarise(&mut entry.empties.clone()) else {
        return;
    };
    let resolution = match clock {
        // One instruction is one tick, and every count is exact.
        Clock::Icount => Figure::from(1),
        Clock::Tsc | Clock::Emulated => resolution(Known {
            class: entry.class,
            batch: entry.shares(),
            quantum,
            spread: [empties.p25, empties.p75],
            overhead,
        }),
    };
    let overhead = round::take_off(&mut entry.samples, &entry.empties, entry.class, overhead);
    if clock != Clock::Icount {
        round::cut_digits(&mut entry.samples, resolution);
    }
    let mut scratch = entry.samples.clone();
    let Some(summary) = summarise(&mut scratch) else {
        return;
    };
    if clock == Clock::Tsc {
        entry.disturbances.unknown = outliers(&entry.samples, &summary);
    }
    let mut interval = round::bounds_of(
        entry.class,
        timing.bounds(&summary, entry.shares(), overhead),
    );
    if clock != Clock::Icount {
        interval = round::cut_bounds(interval, resolution);
    }
    let Summary {
        min,
        p25,
        median,
        p75,
        p99,
        max,
        ..
    } = summary;
    let converted = match clock {
        Clock::Tsc => converted(entry),
        Clock::Icount | Clock::Emulated => None,
    };
    let (cycles, counts) = counted(entry, witness);
    log::record(&Record::Result(CaseResult {
        case: entry.name.as_str().into(),
        unit: clock.unit(),
        class: Some(entry.class),
        resolution: Some(resolution),
        samples: entry.samples.len() as u64,
        min,
        p25,
        median,
        p75,
        p99,
        max,
        interval,
        overhead,
        batch: entry.batch,
        ns: hertz.map(|hertz| nanoseconds(median, hertz)),
        cycles: cycles.or(converted),
        counts,
        disturbances: entry.disturbances,
        rounds: Series(&entry.samples).into(),
    }));
}

/// What the core's counters counted of an operation: core cycles, and the rest.
pub fn counted(entry: &Entry, witness: Option<&Witness>) -> (Option<Figure>, Counts) {
    match witness {
        Some(witness) if !entry.counts.is_empty() => witness.counted(medians(&entry.counts)),
        _ => (None, Counts::default()),
    }
}

/// The median at each place.
#[inline(never)]
fn medians(counts: &[[Figure; METERED]]) -> [Figure; METERED] {
    let mut medians = [Figure::default(); METERED];
    for (place, median) in medians.iter_mut().enumerate() {
        let mut of_one: ArrayVec<Figure, MAX_COUNTED> =
            counts.iter().map(|counts| counts[place]).collect();
        *median = summarise(&mut of_one).map_or(Figure::default(), |summary| summary.median);
    }
    medians
}

/// The median over rounds in core cycles, each by the core's rate beside it. The rate of a core that others share moves by several per cent
/// within a run and between runs; what a round takes in cycles does not follow it.
fn converted(entry: &Entry) -> Option<Figure> {
    let known = entry.rates.iter().all(|&rate| rate != 0);
    let rounds = entry.samples.iter().zip(&entry.rates);
    let mut rounds: ArrayVec<Figure, MAX_SAMPLES> = rounds
        .map(|(&round, &rate)| cycles(round, u64::from(rate)))
        .collect();
    summarise(&mut rounds)
        .filter(|_| known)
        .map(|summary| summary.median)
}

/// Ticks in core cycles, of which there are `rate` in 1,000 ticks.
fn cycles(ticks: Figure, rate: u64) -> Figure {
    let thousandths = i128::from(ticks.thousandths()) * i128::from(rate) / 1000;
    Figure::from_thousandths(i64::try_from(thousandths).unwrap_or(i64::MAX))
}

/// Ticks as a time.
fn nanoseconds(ticks: Figure, hertz: u64) -> Figure {
    let picoseconds = i128::from(ticks.thousandths()) * 1_000_000_000 / i128::from(hertz);
    Figure::from_thousandths(i64::try_from(picoseconds).unwrap_or(i64::MAX))
}
