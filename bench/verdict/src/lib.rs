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

pub use class::{Class, Disagreement, ROW, Readings, Spread, nops_disagree};
pub use core_clock::{CoreReading, cycles_per_1000_ticks};
pub use counting::{Clocks, NotCounted, Timer, count};
pub use disturbance::{Cause, Seen, cause, frequency_moved, outer_fence};
pub use fracture::{Reloads, fractured};
pub use frequency::{AGREEMENT_PPM, Frequencies, Rate, Source};
pub use tags::{Facts, Tags, tags};

/// The greatest common divisor of clock deltas: the step in which the clock moves. 0 of none but zeros.
pub fn quantum(deltas: impl IntoIterator<Item = u64>) -> u64 {
    deltas.into_iter().fold(0, |mut a, mut b| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantum_divides_every_delta() {
        assert_eq!(quantum([26, 52, 78, 208]), 26);
        assert_eq!(quantum([26, 52, 27]), 1);
        assert_eq!(quantum([0, 34, 0, 51]), 17);
        assert_eq!(quantum([]), 0);
    }
}
