//! How steadily the machine runs, by an operation that always takes the same number of cycles.
//!
//! The samples that one pass takes of a case are of one moment, and order statistics bound the median of that moment. The clock rate,
//! neighbours and an emulator's host change from one moment to the next, by more than samples of one moment differ. So the operation is
//! timed beside every case, and the interval of a case that was sampled in few passes is widened by as much as its times vary over
//! the run. With [`PASSES`] and more the samples themselves show it.
//!
//! It does not show what a case's memory has to do with it: which frames a pass happens to get.

use arrayvec::ArrayVec;
use pagemark::cpu::tsc;
use pagemark_bracket::block::{PAIR, nothing_linked};
use pagemark_record::Figure;

use super::random::Random;

/// Passes from which on the samples themselves show how moments differ: with as many, order statistics bound a median with 99 %.
pub const PASSES: u32 = 8;

/// Links of the chain that is timed: some microseconds.
const LINKS: u64 = 256;
/// Times that are kept.
const KEPT: usize = 512;
/// Times before the first case, and ticks between two of them: some milliseconds together.
const AT_FIRST: u32 = 64;
const APART: u64 = 200_000;

/// Times of the operation all over the run.
#[derive(Default)]
pub struct Pace {
    times: ArrayVec<Figure, KEPT>,
    taken: u64,
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

    /// Times the operation: the middle one of three, of which an interrupt strikes one.
    pub fn look(&mut self, random: &mut Random) {
        // SAFETY: nothing may be called with any state.
        // SAFETY: nothing may be called with any state.
        let time = || unsafe { (PAIR.chained)(nothing_linked, core::ptr::null_mut(), LINKS) };
        let [a, b, c] = [time(), time(), time()];
        let time = Figure::from(a.max(b).min(a.min(b).max(c)));
        self.taken += 1;
        if self.times.try_push(time).is_err() {
            let place = random.below(self.taken) as usize;
            if let Some(kept) = self.times.get_mut(place) {
                *kept = time;
            }
        }
    }

    /// The bounds of the median over all moments of what has these bounds at one moment.
    pub fn widen(&self, [low, high]: [Figure; 2]) -> [Figure; 2] {
        let mut times = self.times.clone();
        times.sort_unstable();
        widened(&times, [low, high])
    }
}

/// The hundredth at either end is left out, one at least: what strikes as rarely strikes as few cases.
#[inline(never)]
fn widened(sorted: &[Figure], [low, high]: [Figure; 2]) -> [Figure; 2] {
    let Some(last) = sorted.len().checked_sub(1) else {
        return [low, high];
    };
    let end = sorted.len().div_ceil(100).min(last / 2);
    let [fast, median, slow] = [end, sorted.len() / 2, last - end]
        .map(|place| i128::from(sorted[place].thousandths().max(1)));
    // A case of a slow moment would be as much shorter at another, and one of a fast moment longer.
    let share = |figure: Figure, part: i128, whole: i128| {
        let thousandths = i128::from(figure.thousandths()).abs() * part / whole;
        Figure::from_thousandths(i64::try_from(thousandths).unwrap_or(i64::MAX))
    };
    let below = share(low, slow - median, slow);
    let above = share(high, median - fast, fast);
    let zero = Figure::default();
    [low.less(below), high.less(zero.less(above))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_machine_widens_nothing_and_an_unsteady_one_by_its_share() {
        let bounds = [1000.into(), 1100.into()];
        assert_eq!(widened(&[], bounds), bounds);
        assert_eq!(widened(&[6000.into(); 100], bounds), bounds);
        // From a fifth faster to a quarter slower, but for one in a hundred.
        let mut times = [Figure::from(6000); 400];
        times[..10].fill(5000.into());
        times[..4].fill(100.into());
        times[390..].fill(8000.into());
        times[396..].fill(1_000_000.into());
        assert_eq!(widened(&times, bounds), [750.into(), 1320.into()]);
        let negative = Figure::from_thousandths(-10_000);
        assert_eq!(
            widened(&times, [negative, negative]),
            [
                Figure::from_thousandths(-12_500),
                Figure::from_thousandths(-8000)
            ]
        );
    }
}
