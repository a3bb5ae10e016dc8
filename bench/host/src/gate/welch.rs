//! A test of each case's two sides that does not take their noise for equal: Yuen's, of trimmed means, with variances that the
//! cases of the suite lend each other.
//!
//! Permuting boots assumes that without a change all boots are alike. Where one side is noisier than the other and has fewer
//! boots, that is not so, and a permutation test raises false alarms at many times its promised rate. Here each side has a
//! variance of its own:
//!
//! - a side's location is its mean without the outermost tenth at either end, so that one slow boot does not move it; its variance
//!   is the one of the figures with these drawn in (Yuen, "The two-sample trimmed t for unequal population variances", 1974);
//! - that variance is taken together with the typical one of the side's cases, by how alike they are ([`in_common`]; Smyth,
//!   "Linear models and empirical Bayes methods", 2004). A case that is far noisier than the suite keeps its own (Phipson et al.,
//!   "Robust hyperparameter estimation protects against hypervariable genes", 2016);
//! - degrees of freedom are Welch's ("The generalization of Student's problem", 1947);
//! - where the times of the boots are known, a straight trend over them is removed. What its slope's uncertainty adds to that of
//!   the difference grows with the distance in time between the sides.

use std::f64::consts::SQRT_2;

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor, StudentsT};

use super::joint_test::in_common;

/// Cases below which none lends another its variance.
const LEAST_CASES: usize = 8;
/// A case keeps its variance where, were it as noisy as the others, a greater one had this probability.
const HYPERVARIABLE: f64 = 0.001;
/// How many times the variance of the least-squares slope that of the middle one of all pairs is, at most, for so few boots.
const LESS_SURE: f64 = 1.2;
/// Degrees of freedom from which on Student's distribution is the normal one.
const NORMAL: f64 = 1e6;

/// Boots of two sides: those of the base, this number, come first. Times are those of all boots, in any unit.
#[derive(Clone, Copy, Debug)]
pub struct Design<'a> {
    /// Boots of the base.
    pub base: usize,
    /// When each boot was made, where that is known.
    pub times: Option<&'a [f64]>,
}

/// The case's figures relative to their middle, without the trend over time that both sides have in common.
pub fn detrended(figures: &[f64], design: Design<'_>) -> Vec<f64> {
    let middle = super::ticks::median(figures);
    if middle <= 0.0 {
        return figures.to_vec();
    }
    let relative: Vec<f64> = figures.iter().map(|figure| figure / middle).collect();
    let Some(times) = design.times else {
        return relative;
    };
    let slope = slope(&relative, times, design.base);
    let mean = mean(times);
    let figures = relative.iter().zip(times);
    figures
        .map(|(figure, time)| figure - slope * (time - mean))
        .collect()
}

/// The slope within the sides: the middle one of all pairs of boots of a side, which no slow boot moves far (Sen, "Estimates of the
/// regression coefficient based on Kendall's tau", 1968).
fn slope(figures: &[f64], times: &[f64], base: usize) -> f64 {
    let mut slopes = Vec::new();
    for (from, to) in [(0, base), (base, figures.len())] {
        for left in from..to {
            for right in left + 1..to {
                let apart = times[right] - times[left];
                if apart != 0.0 {
                    slopes.push((figures[right] - figures[left]) / apart);
                }
            }
        }
    }
    if slopes.is_empty() {
        return 0.0;
    }
    super::ticks::median(&slopes)
}

/// The sum of squares of the times about the mean of their side.
fn spread(times: &[f64], base: usize) -> f64 {
    let squares = |times: &[f64]| {
        let mean = mean(times);
        times.iter().map(|time| (time - mean).powi(2)).sum::<f64>()
    };
    squares(&times[..base]) + squares(&times[base..])
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

/// What one side of a case comes to.
#[derive(Clone, Copy)]
struct Side {
    boots: usize,
    /// Boots left after trimming.
    left: usize,
    low: f64,
    high: f64,
    location: f64,
    /// Variance of the figures with the outermost drawn in.
    variance: f64,
}

impl Side {
    /// Of figures that are not empty.
    fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let boots = sorted.len();
        let trimmed = ((boots + 5) / 10).min((boots - 1) / 2);
        let left = boots - 2 * trimmed;
        let (low, high) = (sorted[trimmed], sorted[boots - 1 - trimmed]);
        let mut side = Self {
            boots,
            left,
            low,
            high,
            location: mean(&sorted[trimmed..boots - trimmed]),
            variance: 0.0,
        };
        let drawn_in = side.drawn_in(&sorted);
        let middle = mean(&drawn_in);
        let squares: f64 = drawn_in
            .iter()
            .map(|figure| (figure - middle).powi(2))
            .sum();
        side.variance = squares / (boots - 1).max(1) as f64;
        side
    }

    fn drawn_in(&self, figures: &[f64]) -> Vec<f64> {
        figures
            .iter()
            .map(|figure| figure.clamp(self.low, self.high))
            .collect()
    }

    /// By what a variance of the figures is multiplied to be that of the location.
    fn of_location(&self) -> f64 {
        let left = self.left as f64;
        (self.boots - 1) as f64 / (left * (left - 1.0))
    }

    fn freedom(&self) -> f64 {
        (self.left - 1) as f64
    }
}

/// The variances of one side, moderated, each with its degrees of freedom.
fn moderated(sides: &[Side]) -> Vec<(f64, f64)> {
    let freedom = sides[0].freedom();
    let variances: Vec<f64> = sides.iter().map(|side| side.variance).collect();
    let varying = variances.iter().filter(|variance| **variance > 0.0).count();
    let (typical, own) = match varying < LEAST_CASES {
        true => (0.0, 1.0),
        false => in_common(&variances, freedom),
    };
    let lent = if own > 0.0 {
        freedom * (1.0 - own) / own
    } else {
        f64::INFINITY
    };
    let most = typical * hypervariable(freedom, lent);
    let moderate = |&variance: &f64| match own < 1.0 && variance <= most {
        // What is lent may make a case noisier than it looks, never quieter.
        true => {
            let shared = own * variance + (1.0 - own) * typical;
            (shared.max(variance), freedom + lent)
        }
        false => (variance, freedom),
    };
    variances.iter().map(moderate).collect()
}

/// How many times the typical variance a case's may be before it keeps it.
fn hypervariable(freedom: f64, lent: f64) -> f64 {
    let upper = 1.0 - HYPERVARIABLE;
    match lent {
        0.0 => 0.0,
        lent if lent > NORMAL => {
            ChiSquared::new(freedom).map_or(0.0, |chi| chi.inverse_cdf(upper) / freedom)
        }
        lent => FisherSnedecor::new(freedom, lent).map_or(0.0, |f| f.inverse_cdf(upper)),
    }
}

/// Each case's probability, two-sided and of it alone, that its sides differ so much by chance. All cases have figures of the
/// same boots, three a side or more.
pub fn p_values(cases: &[Vec<f64>], design: Design<'_>) -> Vec<f64> {
    if cases.is_empty() {
        return Vec::new();
    }
    let cases: Vec<Vec<f64>> = cases.iter().map(|case| detrended(case, design)).collect();
    let [base, new]: [Vec<Side>; 2] = [
        cases
            .iter()
            .map(|case| Side::of(&case[..design.base]))
            .collect(),
        cases
            .iter()
            .map(|case| Side::of(&case[design.base..]))
            .collect(),
    ];
    // What an uncertain slope adds, as a share of a figure's variance.
    let by_slope = design.times.map_or(0.0, |times| {
        let apart = mean(&times[..design.base]) - mean(&times[design.base..]);
        match spread(times, design.base) {
            0.0 => 0.0,
            spread => LESS_SURE * apart * apart / spread,
        }
    });
    let variances = moderated(&base).into_iter().zip(moderated(&new));
    let sides = base.iter().zip(&new).zip(variances);
    sides
        .map(|((base, new), (of_base, of_new))| {
            let locations = [of_base.0 * base.of_location(), of_new.0 * new.of_location()];
            // Of one figure, by what its side's location says of it.
            let single = f64::midpoint(
                locations[0] * base.boots as f64,
                locations[1] * new.boots as f64,
            );
            let parts = [
                (locations[0], of_base.1),
                (locations[1], of_new.1),
                (single * by_slope, of_base.1.min(of_new.1)),
            ];
            let variance: f64 = parts.iter().map(|(variance, _)| variance).sum();
            let distance = (new.location - base.location).abs();
            if variance <= 0.0 {
                // Neither side varies: as sure as can be, or no difference.
                return if distance > 0.0 { 0.0 } else { 1.0 };
            }
            let shares = parts.iter().map(|(part, freedom)| part * part / freedom);
            let freedom = variance * variance / shares.sum::<f64>();
            two_sided(distance / variance.sqrt(), freedom)
        })
        .collect()
}

/// The probability of Student's t at least so far from 0.
fn two_sided(t: f64, freedom: f64) -> f64 {
    match freedom < NORMAL {
        true => {
            StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| (2.0 * student.sf(t)).min(1.0))
        }
        false => statrs::function::erf::erfc(t / SQRT_2),
    }
}

/// The probabilities corrected for their number: Holm's step-down ("A simple sequentially rejective multiple test procedure", 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut surest: f64 = 0.0;
    for (place, &case) in order.iter().enumerate() {
        surest = surest
            .max(p_values[case] * (p_values.len() - place) as f64)
            .min(1.0);
        adjusted[case] = surest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn normal(random: &mut StdRng) -> f64 {
        StandardNormal.sample(random)
    }

    /// Suites of 20 cases, in which the rate of probabilities at most `alpha` is counted.
    fn rate(base: usize, new: usize, noise: [f64; 2], drift: f64, unlike: f64, alpha: f64) -> f64 {
        const SUITES: usize = 600;
        const CASES: usize = 20;
        let mut random = StdRng::seed_from_u64(5);
        let mut below = 0;
        let times: Vec<f64> = (0..base + new).map(|boot| boot as f64).collect();
        for _ in 0..SUITES {
            let cases: Vec<Vec<f64>> = (0..CASES)
                .map(|_| {
                    let size = (unlike * normal(&mut random)).exp();
                    let boot = |boot: usize| {
                        let side = usize::from(boot >= base);
                        1.0 + drift * boot as f64 + 0.005 * size * noise[side] * normal(&mut random)
                    };
                    (0..base + new).map(boot).collect()
                })
                .collect();
            let times = (drift != 0.0).then_some(&times[..]);
            let p = p_values(&cases, Design { base, times });
            below += p.iter().filter(|p| **p <= alpha).count();
        }
        below as f64 / (SUITES * CASES) as f64
    }

    #[test]
    fn unequal_noise_and_numbers_keep_the_rate() {
        for (base, new, noise) in [
            (10, 10, [1.0, 1.0]),
            (30, 8, [1.0, 3.0]),
            (30, 8, [3.0, 1.0]),
            (10, 20, [1.0, 5.0]),
        ] {
            for unlike in [0.0, 0.7] {
                let rate = rate(base, new, noise, 0.0, unlike, 0.01);
                assert!(
                    (0.004..0.02).contains(&rate),
                    "{base} v {new}, {noise:?}, {unlike}: {rate}"
                );
            }
        }
    }

    /// One side after the other, and a drift that would be a change of 1.5 standard deviations.
    #[test]
    fn a_straight_drift_is_no_change() {
        let rate = rate(10, 10, [1.0, 1.0], 0.000_75, 0.0, 0.01);
        assert!(rate < 0.025, "{rate}");
    }

    #[test]
    fn holm_s_probabilities() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&holm(&[0.01, 0.04, 0.03]), &[0.03, 0.06, 0.06]));
        assert!(close(&holm(&[]), &[]));
    }

    #[test]
    fn sides_that_never_vary() {
        let design = Design {
            base: 3,
            times: None,
        };
        let p = p_values(&[vec![2.0; 6], vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0]], design);
        assert_eq!(p, [1.0, 0.0]);
    }
}
