//! One round of a case: one sample; in a process the mean of several.
//!
//! A clock that moves in steps shows an operation that is shorter than a step as nothing or as a whole step, and the median of such
//! samples is one of the two. The samples of a round begin at any moment between two steps, so their mean has what lies between. The
//! median over rounds then leaves out the rounds that an interrupt has made longer.

use pagemark::cpu::tsc;
use pagemark_bracket::{Brackets, Sample};
use pagemark_record::{Class, Figure};

use super::case::Failure;
use super::sample::{AnyCase, Temperature, sample};

/// A round is one sample.
const ONE_SAMPLE: bool = cfg!(target_os = "none");
/// The most samples in a round.
const MOST: u32 = if ONE_SAMPLE { 1 } else { 256 };
/// The fewest: a state that alternates from one sample to the next is in the mean, not in which of two groups a round is of.
const FEWEST: u32 = 2;
/// Ticks of a round, unless one sample takes more: some 0.8 ms. What a bracket resolves badly takes far less.
const TICKS: u64 = 1 << 21;
/// Samples that are timed to choose from.
const TIMED: u32 = 4;

/// How many samples of a case a round has. It is chosen by the fastest of some, and a power of two, so that runs agree on it: with another
/// number the case is at another point of the course of its state.
pub fn repeats(case: &mut AnyCase<'_>, temperature: Temperature) -> Result<u32, Failure> {
    if ONE_SAMPLE {
        return Ok(1);
    }
    let mut fastest = u64::MAX;
    for _ in 0..TIMED {
        let start = tsc::read();
        sample(case, temperature)?;
        fastest = fastest.min(tsc::read().wrapping_sub(start));
    }
    let fit = u32::try_from(TICKS / fastest.max(1)).unwrap_or(MOST);
    Ok(1 << fit.clamp(FEWEST, MOST).ilog2())
}

/// Takes a round of `repeats` samples.
pub fn take(
    case: &mut AnyCase<'_>,
    temperature: Temperature,
    repeats: u32,
) -> Result<Sample, Failure> {
    if ONE_SAMPLE {
        return sample(case, temperature);
    }
    let mut sums = [0; 2];
    let mut batch = 1;
    for _ in 0..repeats {
        let sample = sample(case, temperature)?;
        sums[0] += sample.with_operation.thousandths();
        sums[1] += sample.empty.thousandths();
        batch = sample.batch;
    }
    let [with_operation, empty] = sums.map(|sum| mean(sum, repeats));
    Ok(Sample {
        batch,
        with_operation,
        empty,
    })
}

/// Takes a round of the harness alone.
pub fn of_nothing(brackets: Brackets) -> Figure {
    if ONE_SAMPLE {
        return brackets.sample_of_nothing();
    }
    let sum = (0..MOST).map(|_| brackets.sample_of_nothing().thousandths());
    mean(sum.sum(), MOST)
}

fn mean(thousandths: i64, count: u32) -> Figure {
    Figure::from_thousandths(thousandths / i64::from(count))
}

/// Samples that a case takes before its first round of a pass, beside those that make caches and tables warm: `taken_before` rounds were
/// taken in earlier passes. A round of several samples goes through the course of a case's state, and is its mean.
pub const fn ahead(taken_before: u32) -> u32 {
    if ONE_SAMPLE { taken_before } else { 0 }
}

/// Takes off each of a case's rounds what the harness costs, which is `overhead` in the whole run, and returns what it came to.
///
/// In a process the cost moves with the core's rate, and operations and empty brackets of a round were taken in turns: each round has its
/// own taken off. On the image a round of one operation is a whole number of ticks, of which the nearest whole number is taken off: half a
/// tick is below any resolution there, and the log of a slow line is spared digits that mean nothing.
pub fn take_off(
    rounds: &mut [Figure],
    empties: &[Figure],
    class: Class,
    overhead: Figure,
) -> Figure {
    if ONE_SAMPLE {
        let overhead = match class {
            Class::Single => whole(overhead.rounded()),
            Class::Latency | Class::Throughput => overhead,
        };
        for round in rounds {
            *round = round.less(overhead);
        }
        return overhead;
    }
    for (round, &empty) in rounds.iter_mut().zip(empties) {
        *round = round.less(empty);
    }
    let sum = empties.iter().map(|empty| empty.thousandths()).sum();
    mean(sum, empties.len().max(1) as u32)
}

/// Leaves out of the figures of a case what its resolution says nothing about: digits below a fortieth of it, of which the log of a slow line
/// would be full.
pub fn cut_digits(rounds: &mut [Figure], resolution: Figure) {
    let grain = grain(resolution);
    for round in rounds {
        let half = round.thousandths().saturating_add(grain / 2);
        *round = Figure::from_thousandths(half.div_euclid(grain) * grain);
    }
}

/// As [`cut_digits`] of the bounds of a median, which leave nothing out that they had.
pub fn cut_bounds([low, high]: [Figure; 2], resolution: Figure) -> [Figure; 2] {
    let grain = grain(resolution);
    let down = |thousandths: i64| thousandths.div_euclid(grain) * grain;
    [
        Figure::from_thousandths(down(low.thousandths())),
        Figure::from_thousandths(-down(-high.thousandths())),
    ]
}

/// The largest power of ten that is at most a fortieth of the resolution, and one tick; in thousandths.
fn grain(resolution: Figure) -> i64 {
    let fits = |grain: &i64| 40 * grain <= resolution.thousandths();
    [1000, 100, 10].into_iter().find(fits).unwrap_or(1)
}

/// Bounds of a single's median, which is whole: the nearest whole numbers on the image.
pub fn bounds_of(class: Class, [low, high]: [Figure; 2]) -> [Figure; 2] {
    match class {
        Class::Single if ONE_SAMPLE => [low, high].map(|bound| whole(bound.rounded())),
        _ => [low, high],
    }
}

/// A whole number of ticks.
const fn whole(ticks: i64) -> Figure {
    Figure::from_thousandths(ticks.saturating_mul(1000))
}

/// Among how many operations of a round a step of the clock is shared: the mean of samples that begin at any moment is surer than one by
/// the root of their number.
pub const fn shares(batch: u32, repeats: u32) -> u32 {
    if ONE_SAMPLE {
        return batch;
    }
    batch * repeats.isqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_figure_has_digits_below_a_fortieth_of_its_resolution() {
        let seen = |resolution: i64, figure: i64| {
            let mut rounds = [Figure::from_thousandths(figure)];
            cut_digits(&mut rounds, Figure::from_thousandths(resolution));
            rounds[0].thousandths()
        };
        assert_eq!(seen(52_000, 12_499), 12_000);
        assert_eq!(seen(40_000, -12_501), -13_000);
        assert_eq!(seen(39_999, 12_450), 12_500);
        assert_eq!(seen(812, 164), 160);
        assert_eq!(seen(399, 164), 164);
    }

    #[test]
    fn the_bounds_go_outwards() {
        let bounds = [-1_234, 1_234].map(Figure::from_thousandths);
        let cut = |resolution| {
            cut_bounds(bounds, Figure::from_thousandths(resolution)).map(Figure::thousandths)
        };
        assert_eq!(cut(52_000), [-2_000, 2_000]);
        assert_eq!(cut(4_000), [-1_300, 1_300]);
        assert_eq!(cut(1), [-1_234, 1_234]);
    }
}
