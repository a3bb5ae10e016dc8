//! The confidence interval of a median, by order statistics: exact for every distribution.
//!
//! The number of n samples that lie below the median of their distribution is binomial with p = 1/2. So the sorted samples
//! x(k) and x(n+1-k) enclose that median with probability 1 - 2 P(B < k) (David and Nagaraja, "Order Statistics", 7.1).

/// The probability with which an interval encloses the median, at least, where there are samples enough: from 8 on.
pub const CONFIDENCE: f64 = 0.99;

/// Which of the sorted samples bound the median, counted from 0.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// The lower bound's place.
    pub low: usize,
    /// The upper bound's place.
    pub high: usize,
    /// With which probability they enclose it.
    pub coverage: f64,
}

/// The narrowest symmetric interval with [`CONFIDENCE`], or the whole of the samples where even that has less.
///
/// `samples` is not 0.
pub fn interval(samples: usize) -> Interval {
    // Weights of B = k relative to the middle one, which is far from the smallest number that can be held: 2^-n is not.
    let weight_below = |k: usize, weight: f64| weight * k as f64 / (samples - k + 1) as f64;
    let middle = samples / 2;
    let (mut below_middle, mut weight) = (0.0, 1.0);
    for k in (1..=middle).rev() {
        weight = weight_below(k, weight);
        below_middle += weight;
    }
    let all = if samples.is_multiple_of(2) {
        2.0 * below_middle + 1.0
    } else {
        2.0 * (below_middle + 1.0)
    };
    // From the middle outwards, until what is left outside is small enough: `outside` is the weight of B < k.
    let (mut outside, mut weight) = (below_middle, 1.0);
    let mut k = middle;
    let allowed = (1.0 - CONFIDENCE) / 2.0;
    while k > 1 && outside / all > allowed {
        weight = weight_below(k, weight);
        k -= 1;
        outside -= weight;
    }
    let k = k.max(1);
    // What is left after the subtractions is summed up anew, as they lose its last digits.
    let mut tail = 0.0;
    for place in (1..=k).rev() {
        weight = weight_below(place, weight);
        tail += weight;
    }
    if samples == 1 {
        // The one sample is no interval.
        tail = all / 2.0;
    }
    Interval {
        low: k - 1,
        high: samples - k,
        coverage: 1.0 - 2.0 * tail / all,
    }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, DiscreteCDF};

    use super::*;

    #[test]
    fn the_published_ones() {
        // k of x(k) and x(n+1-k), and the coverage in per cent.
        for (samples, k, per_cent) in [(31, 8, 99.67), (51, 16, 99.5), (101, 38, 99.1)] {
            let Interval {
                low,
                high,
                coverage,
            } = interval(samples);
            assert_eq!((low + 1, high + 1), (k, samples + 1 - k));
            assert!((coverage * 100.0 - per_cent).abs() < 0.06, "{coverage}");
        }
    }

    #[test]
    fn the_coverage_is_the_binomial_distribution_s() {
        for samples in (1..200).chain([1000, 1001, 2047]) {
            let Interval {
                low,
                high,
                coverage,
            } = interval(samples);
            assert_eq!(low, samples - 1 - high, "{samples}");
            let binomial = Binomial::new(0.5, samples as u64).unwrap();
            let enclosed = |k: usize| 1.0 - 2.0 * binomial.cdf(k as u64 - 1);
            let k = low + 1;
            let expected = if samples == 1 { 0.0 } else { enclosed(k) };
            assert!((coverage - expected).abs() < 1e-9, "{samples}: {coverage}");
            // As wide as needed, and no wider.
            assert!(coverage >= CONFIDENCE || k == 1, "{samples}: {coverage}");
            if 2 * (k + 1) <= samples {
                assert!(enclosed(k + 1) < CONFIDENCE, "{samples}: {k}");
            }
        }
    }
}
