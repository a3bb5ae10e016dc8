//! The core's own clock beside the time-stamp counter, which ticks at one rate whatever the core does.

/// A reading of the counter of core cycles, and of one that counts at the TSC's rate while the core is not halted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreReading {
    /// APERF, or fixed counter 1.
    pub cycles: u64,
    /// MPERF, or fixed counter 2.
    pub reference: u64,
}

/// Core cycles that pass in 1,000 ticks, between two readings; `None` where a counter stood still or wrapped.
#[must_use]
pub fn cycles_per_1000_ticks(begin: CoreReading, end: CoreReading) -> Option<u64> {
    let cycles = end.cycles.checked_sub(begin.cycles)?;
    let reference = end.reference.checked_sub(begin.reference)?;
    if cycles == 0 || reference == 0 {
        return None;
    }
    let ratio = u128::from(cycles) * 1000 / u128::from(reference);
    u64::try_from(ratio).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_runs_faster_than_its_counter() {
        let begin = CoreReading {
            cycles: 1_000,
            reference: 500,
        };
        let end = |cycles, reference| CoreReading { cycles, reference };
        assert_eq!(
            cycles_per_1000_ticks(begin, end(4_701_000, 3_300_500)),
            Some(1424)
        );
        // Counters that a hypervisor holds still, or that were reset.
        assert_eq!(cycles_per_1000_ticks(begin, begin), None);
        assert_eq!(cycles_per_1000_ticks(begin, end(0, 1000)), None);
    }
}
