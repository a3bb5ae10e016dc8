//! The two-sided Mann-Whitney U test, exact with ties.
//!
//! Under the null hypothesis every division of the pooled figures into the two sides is equally likely. With few figures those
//! divisions are counted, over midranks, so that ties cost nothing of the test's exactness (Lehmann, "Nonparametrics",
//! 1.4; Mann and Whitney 1947). Above [`MOST_EXACT`] figures the normal approximation with its correction for ties serves. Crates
//! at hand have the approximation alone, which cannot come below 1.8e-4 with 10 boots a side.

use std::f64::consts::SQRT_2;

use super::labelings::divisions;

/// The most pooled figures for which the divisions are counted.
pub const MOST_EXACT: usize = 60;

/// The probability, under the null hypothesis, of a rank sum at least as far from its mean as that of `a`. 1 where a side is
/// empty. No figure is NaN.
pub fn p_value(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let ranks = doubled_midranks(a, b);
    let total = ranks.len() as u64;
    let observed: u64 = ranks[..a.len()].iter().sum();
    // The mean of the doubled rank sum.
    let mean = a.len() as u64 * (total + 1);
    let distance = observed.abs_diff(mean);
    if ranks.len() <= MOST_EXACT {
        exact(&ranks, a.len(), mean, distance)
    } else {
        approximate(&ranks, a.len(), b.len(), distance)
    }
}

/// The least probability that this number of figures a side can come to: complete separation without ties.
pub fn least_p_value(a: usize, b: usize) -> f64 {
    (2.0 / divisions(a + b, a)).min(1.0)
}

/// Twice the midrank of each figure, those of `a` first.
fn doubled_midranks(a: &[f64], b: &[f64]) -> Vec<u64> {
    let pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    let mut order: Vec<usize> = (0..pooled.len()).collect();
    order.sort_by(|&left, &right| pooled[left].total_cmp(&pooled[right]));
    let mut ranks = vec![0; pooled.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&left, &right| pooled[left] == pooled[right]) {
        // Ranks first + 1 to first + n: twice their mean.
        let midrank = (2 * first + tied.len() + 1) as u64;
        for &place in tied {
            ranks[place] = midrank;
        }
        first += tied.len();
    }
    ranks
}

fn exact(ranks: &[u64], chosen: usize, mean: u64, distance: u64) -> f64 {
    // Without ties all doubled ranks are even, and half as many sums are possible.
    let unit = if ranks.iter().all(|rank| rank % 2 == 0) {
        2
    } else {
        1
    };
    let most = (ranks.iter().sum::<u64>() / unit) as usize;
    // ways[k][s]: divisions that give one side k figures with the doubled rank sum s units.
    let mut ways = vec![vec![0.0; most + 1]; chosen + 1];
    ways[0][0] = 1.0;
    let mut possible = 0;
    for (seen, &rank) in ranks.iter().enumerate() {
        let rank = (rank / unit) as usize;
        possible += rank;
        for k in (1..=chosen.min(seen + 1)).rev() {
            let (fewer, ways) = ways.split_at_mut(k);
            let from = &fewer[k - 1][..=possible - rank];
            for (ways, from) in ways[0][rank..=possible].iter_mut().zip(from) {
                *ways += from;
            }
        }
    }
    let all: f64 = ways[chosen].iter().sum();
    let as_far = |(sum, _): &(usize, &f64)| (*sum as u64 * unit).abs_diff(mean) >= distance;
    let far: f64 = ways[chosen]
        .iter()
        .enumerate()
        .filter(as_far)
        .map(|(_, ways)| ways)
        .sum();
    (far / all).min(1.0)
}

fn approximate(ranks: &[u64], a: usize, b: usize, distance: u64) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let ties: f64 = sorted
        .chunk_by(PartialEq::eq)
        .map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64)
        .sum();
    let (a, b) = (a as f64, b as f64);
    let n = a + b;
    let variance = a * b / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((distance as f64 / 2.0 - 0.5) / variance.sqrt()).max(0.0);
    statrs::function::erf::erfc(z / SQRT_2)
}
