//! Quantiles of samples. Each is a value that was measured, never one between two.

use crate::interval;

/// Order statistics of one set of samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary<T> {
    /// Number of samples.
    pub samples: usize,
    /// The smallest.
    pub min: T,
    /// The value that a quarter of the samples do not exceed.
    pub p25: T,
    /// The middle one; of an even number the lower of the two.
    pub median: T,
    /// The value that three quarters of the samples do not exceed.
    pub p75: T,
    /// The value that 99 % of the samples do not exceed.
    pub p99: T,
    /// The largest.
    pub max: T,
    /// The bounds of the median of the distribution that the samples come from, with at least [`crate::CONFIDENCE`] unless
    /// there are too few samples for that.
    pub interval: [T; 2],
}

/// Sorts the samples and sums them up; `None` of no samples.
#[inline(never)]
pub fn summarise<T: Ord + Copy>(samples: &mut [T]) -> Option<Summary<T>> {
    samples.sort_unstable();
    let last = samples.len().checked_sub(1)?;
    let bounds = interval(samples.len());
    Some(Summary {
        samples: samples.len(),
        min: samples[0],
        p25: samples[rank(samples.len(), 25)],
        median: samples[rank(samples.len(), 50)],
        p75: samples[rank(samples.len(), 75)],
        p99: samples[rank(samples.len(), 99)],
        max: samples[last],
        interval: [bounds.low, bounds.high].map(|place| samples[place]),
    })
}

/// The index of a percentile by the nearest-rank rule: that of the least value which the given share of values does not exceed.
fn rank(samples: usize, per_cent: usize) -> usize {
    (samples * per_cent).div_ceil(100) - 1
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_one_to_a_hundred_each_percentile_is_itself() {
        let mut samples: Vec<u64> = (1..=100).rev().collect();
        let summary = summarise(&mut samples).unwrap();
        assert_eq!((summary.min, summary.max), (1, 100));
        assert_eq!((summary.p25, summary.median), (25, 50));
        assert_eq!((summary.p75, summary.p99), (75, 99));
    }

    #[test]
    fn one_sample_is_all_of_them_and_none_is_nothing() {
        let summary = summarise(&mut [7]).unwrap();
        assert_eq!((summary.min, summary.p99, summary.interval), (7, 7, [7, 7]));
        assert_eq!(summarise::<u64>(&mut []), None);
    }

    proptest! {
        /// By the definition: at least that share of the samples is not above it, and with the next smaller value it is less.
        #[test]
        fn percentiles_are_the_least_values_that_their_share_does_not_exceed(
            mut samples in proptest::collection::vec(0u64..50, 1..120)
        ) {
            let summary = summarise(&mut samples).unwrap();
            let share = |value: u64| samples.iter().filter(|&&sample| sample <= value).count() * 100;
            for (value, per_cent) in [(summary.p25, 25), (summary.median, 50), (summary.p75, 75), (summary.p99, 99)] {
                prop_assert!(samples.contains(&value));
                prop_assert!(share(value) >= per_cent * samples.len());
                if let Some(less) = value.checked_sub(1) {
                    prop_assert!(share(less) < per_cent * samples.len());
                }
            }
            let [low, high] = summary.interval;
            prop_assert!(summary.min <= low && low <= summary.median);
            prop_assert!(summary.median <= high && high <= summary.max);
        }
    }
}
