//! How steadily the machine runs, by two operations that always do the same.
//!
//! The samples that one pass takes of a case are of one moment, and order statistics bound the median of that moment. The clock rate,
//! neighbours and an emulator's host change from one moment to the next, by more than samples of one moment differ. So two
//! operations are timed beside every case: a chain of multiplications, which follows the core's rate, and calls that do not wait for each
//! other, which also a neighbour on the same core slows down. The interval of a case that was sampled in few passes is widened by the
//! range of the times of the less steady one: the case was sampled at a moment of unknown pace, and the median that it is to enclose may
//! be one of any other pace that the run has seen. With [`PASSES`] and more the samples themselves show it.
//!
//! It does not show what a case's memory has to do with it: which frames a pass happens to get.

use arrayvec::ArrayVec;
use pagemark::cpu::tsc;
use pagemark_bracket::block::{PAIR, nothing, nothing_linked};
use pagemark_record::Figure;

use super::random::Random;

/// Passes from which on the samples themselves show how moments differ: with as many, order statistics bound a median with 99 %.
pub const PASSES: u32 = 8;

/// Links of the chain, and calls: some microseconds together.
const COUNT: u64 = 256;
/// Times that are kept.
const KEPT: usize = 512;
/// Times before the first case, and ticks between two of them: some milliseconds together.
const AT_FIRST: u32 = 64;
const APART: u64 = 200_000;

/// Times of the operations all over the run.
#[derive(Default)]
pub struct Pace {
    chain: Times,
    calls: Times,
}

impl Pace {
    /// One that knows this moment.
    pub fn begin(random: &mut Random) -> Self {
        let mut pace = Pace::default();
        for _ in 0..AT_FIRST {
            let start = tsc::read();
            while tsc::read().wrapping_sub(start) < APART {
                core::hint::spin_loop();
            }
            pace.look(random);
        }
        pace
    }

    /// Times the operations.
    pub fn look(&mut self, random: &mut Random) {
        let state = core::ptr::null_mut();
        // SAFETY: nothing may be called with any state.
        let chain = middle(|| unsafe { (PAIR.chained)(nothing_linked, state, COUNT) });
        // SAFETY: as above.
        let calls = middle(|| unsafe { (PAIR.independent)(nothing, state, COUNT) });
        self.chain.push(chain, random);
        self.calls.push(calls, random);
    }

    /// The bounds at any moment that the run has seen of a median that has these bounds at one of them. What was sampled, and moves with the
    /// pace, is more than the median by the `overhead`, which was taken off as one figure for the whole run.
    pub fn widen(&self, bounds: [Figure; 2], overhead: Figure) -> [Figure; 2] {
        let [chain, calls] = [&self.chain, &self.calls].map(Times::range);
        // The less steady of the two: of larger quotient.
        let less_steady = if chain[1] * calls[0] > calls[1] * chain[0] {
            chain
        } else {
            calls
        };
        widened(less_steady, bounds, overhead)
    }
}

/// The middle one of three times, of which an interrupt strikes one.
fn middle(time: impl Fn() -> u64) -> Figure {
    let [a, b, c] = [time(), time(), time()];
    Figure::from(a.max(b).min(a.min(b).max(c)))
}

/// Times of one operation, each of them kept with the same probability.
#[derive(Default)]
struct Times {
    kept: ArrayVec<Figure, KEPT>,
    taken: u64,
}

impl Times {
    fn push(&mut self, time: Figure, random: &mut Random) {
        self.taken += 1;
        if self.kept.try_push(time).is_err() {
            let place = random.below(self.taken) as usize;
            if let Some(kept) = self.kept.get_mut(place) {
                *kept = time;
            }
        }
    }

    fn range(&self) -> [i128; 2] {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        range(&sorted)
    }
}

/// The shortest and the longest of sorted times, in thousandths. The hundredth at either end is left out, one at least: what strikes as
/// rarely strikes as few cases.
fn range(sorted: &[Figure]) -> [i128; 2] {
    let Some(last) = sorted.len().checked_sub(1) else {
        return [1, 1];
    };
    let end = sorted.len().div_ceil(100).min(last / 2);
    [end, last - end].map(|place| i128::from(sorted[place].thousandths().max(1)))
}

/// Bounds that hold at any moment whose pace lies between `fast` and `slow`, of what has these bounds at one of them.
#[inline(never)]
fn widened([fast, slow]: [i128; 2], [low, high]: [Figure; 2], overhead: Figure) -> [Figure; 2] {
    // What was sampled at the slowest moment is as much shorter at the fastest, and the other way round.
    let share = |figure: Figure, whole: i128| {
        let sampled = [figure, overhead].map(|part| i128::from(part.thousandths()).abs());
        let thousandths = (sampled[0] + sampled[1]) * (slow - fast) / whole;
        Figure::from_thousandths(i64::try_from(thousandths).unwrap_or(i64::MAX))
    };
    let zero = Figure::default();
    [
        low.less(share(low, slow)),
        high.less(zero.less(share(high, fast))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_machine_widens_nothing_and_an_unsteady_one_by_its_range() {
        let (bounds, none) = ([1000.into(), 1100.into()], 0.into());
        assert_eq!(widened(range(&[]), bounds, none), bounds);
        assert_eq!(widened(range(&[6000.into(); 100]), bounds, none), bounds);
        // From 5,000 to 8,000 ticks, but for one in a hundred.
        let mut times = [Figure::from(6000); 400];
        times[..10].fill(5000.into());
        times[..4].fill(100.into());
        times[390..].fill(8000.into());
        times[396..].fill(1_000_000.into());
        assert_eq!(
            widened(range(&times), bounds, none),
            [625.into(), 1760.into()]
        );
        // What costs nothing moves by as much as the overhead.
        assert_eq!(
            widened([5, 8], [none, none], 80.into()),
            [Figure::from_thousandths(-30_000), 48.into()]
        );
        let negative = Figure::from_thousandths(-10_000);
        assert_eq!(
            widened(range(&times), [negative, negative], none),
            [
                Figure::from_thousandths(-13_750),
                Figure::from_thousandths(-4000)
            ]
        );
    }

    #[test]
    fn the_less_steady_operation_counts() {
        let of = |ticks: [u64; 2]| Times {
            kept: ticks
                .into_iter()
                .flat_map(|time| [Figure::from(time); 3])
                .collect(),
            taken: 6,
        };
        let bounds = [1000.into(), 1000.into()];
        let doubled = [500.into(), 2000.into()];
        let (steady, unsteady) = ([1000, 1100], [20, 40]);
        for [chain, calls] in [[steady, unsteady], [unsteady, steady]] {
            let pace = Pace {
                chain: of(chain),
                calls: of(calls),
            };
            assert_eq!(pace.widen(bounds, 0.into()), doubled);
        }
        assert_eq!(Pace::default().widen(bounds, 0.into()), bounds);
    }
}
