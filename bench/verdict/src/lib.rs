//! What a machine's clock counts and what its figures are worth, concluded from readings that somebody else took.
//!
//! Pure arithmetic and decisions, so that the host tests them on readings of machines that it is not: silicon with and without a
//! hypervisor, KVM that emulates, QEMU's translator with every `-icount` shift.
#![no_std]
#![forbid(unsafe_code)]

mod class;
mod core_clock;
mod counting;
mod disturbance;
mod fracture;
mod frequency;
mod tags;
mod walks;

pub use class::{Class, Disagreement, ROW, Readings, Spread, nops_disagree};
pub use core_clock::{CoreReading, cycles_per_1000_ticks};
pub use counting::{Clocks, Counted, NotCounted, Timer, count};
pub use disturbance::{Cause, Seen, cause, frequency_moved, outer_fence};
pub use fracture::{Reloads, fractured};
pub use frequency::{AGREEMENT_PPM, Frequencies, Rate, Source};
pub use tags::{Facts, Tags, tags};
pub use walks::walks_fit;

/// The step in which the clock moves: the largest number of which nine of ten clock deltas are multiples. The others are taken for
/// readings on both sides of a jump: a hypervisor moved the guest. 0 of none but zeros.
///
/// Where a hypervisor scales the counter the step is no whole number of ticks. So a long step counts as divisor of what is one tick beside
/// a multiple, too.
#[must_use]
pub fn quantum(deltas: &[u64]) -> u64 {
    /// From here on a step is long: a tick beside a multiple is no accident.
    const LONG: u64 = 8;
    let moved = || deltas.iter().copied().filter(|&delta| delta != 0);
    let of_most = |step: u64, slack: u64| {
        let near = |delta: &u64| {
            let rest = delta % step;
            rest.min(step - rest) <= slack
        };
        step != 0 && 10 * moved().filter(near).count() >= 9 * moved().count()
    };
    // The step is the divisor of two neighbours at least, or itself a delta.
    let of_two = moved().zip(moved().skip(1)).map(|(a, b)| divisor(a, b));
    let exact = of_two.filter(|&step| of_most(step, 0)).max();
    let long = moved().filter(|&step| step >= LONG && of_most(step, 1));
    let step = exact.max(long.min());
    step.unwrap_or_else(|| moved().fold(0, divisor))
}

/// The greatest common divisor; of 0 and another number that one.
const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantum_divides_the_deltas() {
        assert_eq!(quantum(&[26, 52, 78, 208]), 26);
        assert_eq!(quantum(&[26, 52, 31]), 1);
        assert_eq!(quantum(&[0, 34, 0, 51]), 17);
        assert_eq!(quantum(&[5, 6, 1005, 1005]), 1);
        assert_eq!(quantum(&[]), 0);
        assert_eq!(quantum(&[0, 0]), 0);
        assert_eq!(quantum(&[7]), 7);
    }

    #[test]
    fn a_jump_among_many_deltas_does_not_hide_the_step() {
        let mut deltas = [26, 52, 78, 26, 52, 26, 104, 52, 26, 52, 26, 78];
        assert_eq!(quantum(&deltas), 26);
        deltas[4] = 10_873;
        assert_eq!(quantum(&deltas), 26);
        deltas[7] = 10_863;
        assert_eq!(quantum(&deltas), 1);
        // QEMU's translator on a host whose counter moves in steps of 26.
        assert_eq!(quantum(&[25, 26, 572, 598, 1, 52, 26, 27]), 26);
    }
}
