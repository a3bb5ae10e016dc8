//! Which cases of a suite differ between two sides, by permuting the boots of the whole suite at once.
//!
//! If nothing changed, any division of the boots into sides was as likely as the one that took place. So every case gets a score for
//! the division that took place, and the probability of a case is the share of divisions whose *largest* score among all cases
//! reaches it: the probability of even one false alarm, whatever the noise looks like and however cases move together (max-T of
//! Westfall and Young, "Resampling-Based Multiple Testing", 1993). What has changed by that is set aside, and the rest is judged
//! anew without it, until nothing more is found.
//!
//! Ranks alone do not serve here: a case alone has 184,756 divisions of 10 boots a side, so that among 60 cases one with a single
//! boot on the wrong side is never sure enough. The score measures against what the other cases teach:
//!
//! - figures of a case are taken relative to their mean, and the outermost 5 % at either end are drawn in to the next one, so that
//!   a boot gone astray weighs no more than its neighbour;
//! - the score is the squared difference of the sides' means over a variance within the sides;
//! - that variance is the case's own together with the suite's typical one, weighted by how much alike the cases are in their
//!   noise: if alike, all boots of all cases show how noisy one is; if not, its own do (Smyth, "Linear models and empirical Bayes
//!   methods", 2004, with moments in closed form).
//!
//! Whatever the weights, the permutation keeps the rate of false alarms; they make it see more or less. A case much quieter than
//! all others is lent some of their noise: of that one ranks may show a change that is small beside it. The test takes the boots for
//! exchangeable: a drift is noise to it if the sides take turns, and a change if one side is measured after the other.

use std::ops::ControlFlow;

use super::labelings::Labelings;
use super::rank_test;

/// How many of the divisions looked at may reach a score that is still beyond chance, where they are drawn: the more, the less the
/// draw matters.
const HITS: f64 = 10.0;
/// How many are drawn at most: a few seconds' worth.
const MOST_DRAWN: usize = 2_000_000;
/// One boot in this number is drawn in at either end.
const DRAWN_IN: usize = 20;
/// The least share of a case's variance that is taken to lie within the sides: below it is rounding.
const LEAST_WITHIN: f64 = 1e-12;
/// Cases are computed this number at a time, each in a lane of its own; a family is filled up with cases that never vary.
const LANES: usize = 8;
/// Sums in another order differ in their last digits: a score reaches another that is above it by no more than this, and by no
/// more than this share of it.
const ROUNDING: f64 = 1e-9;

/// The divisions by which to decide whether a probability is at most `alpha`.
pub fn labelings(boots: usize, base: usize, alpha: f64) -> Labelings {
    let most = (HITS / alpha).ceil() as usize;
    Labelings::new(boots, base, most.min(MOST_DRAWN))
}

/// The least probability that this number of boots can come to by these.
pub fn least_p_value(base: usize, new: usize, alpha: f64) -> f64 {
    match labelings(base + new, base, alpha).drawn() {
        Some(drawn) => 1.0 / drawn as f64,
        None => rank_test::least_p_value(base, new),
    }
}

/// The probability of each case's difference, or a greater one anywhere in the suite, by chance. A case has its figures of all
/// boots, in one order for all cases, the `base` boots of the base first. One above `alpha` may be an estimate.
///
/// No figure is NaN or negative; all cases have the same number, more than `base`, which is not 0.
pub fn p_values(cases: &[Vec<f64>], base: usize, alpha: f64) -> Vec<f64> {
    let mut p_values = vec![1.0; cases.len()];
    let mut left: Vec<usize> = (0..cases.len()).collect();
    let mut surest: f64 = 0.0;
    while !left.is_empty() {
        let family: Vec<&[f64]> = left.iter().map(|&case| cases[case].as_slice()).collect();
        let of_family = Scorer::new(&family, base).p_values(alpha);
        for (&case, p) in left.iter().zip(of_family) {
            // Never surer than what was set aside before it.
            p_values[case] = p.max(surest);
        }
        let (changed, rest): (Vec<usize>, _) =
            left.iter().partition(|&&case| p_values[case] <= alpha);
        if changed.is_empty() {
            break;
        }
        surest = changed
            .iter()
            .map(|&case| p_values[case])
            .fold(surest, f64::max);
        left = rest;
    }
    p_values
}

/// A figure of each case, one a lane.
type Lanes = [f64; LANES];

/// What the scores of a division are computed from, none of which depends on the division.
struct Scorer {
    boots: usize,
    base: usize,
    cases: usize,
    /// Figures of [`LANES`] cases by boot, then those of the next ones: each case's have mean 0, and the square of their sum over a
    /// side is the share of the case's variance that lies between the sides.
    figures: Vec<Lanes>,
    /// Variance of all boots, by case; of relative figures.
    variances: Vec<Lanes>,
    /// How many of them are not 0; at least 1.
    varying: usize,
    /// The typical one.
    typical: f64,
    /// The weight of a case's own variance.
    own: f64,
}

impl Scorer {
    fn new(cases: &[&[f64]], base: usize) -> Self {
        let boots = cases[0].len();
        let scale = (boots as f64 / (base * (boots - base)) as f64).sqrt();
        let groups = cases.len().div_ceil(LANES);
        let mut figures = vec![[0.0; LANES]; groups * boots];
        let mut variances = vec![[0.0; LANES]; groups];
        for (case, of_case) in cases.iter().enumerate() {
            let (group, lane) = (case / LANES, case % LANES);
            let relative = relative(of_case);
            let squares: f64 = relative.iter().map(|figure| figure * figure).sum();
            variances[group][lane] = squares / (boots - 1) as f64;
            if squares > 0.0 {
                for (boot, figure) in relative.into_iter().enumerate() {
                    figures[group * boots + boot][lane] = figure * scale / squares.sqrt();
                }
            }
        }
        let all = variances.as_flattened();
        let varying = all.iter().filter(|&&variance| variance > 0.0).count();
        let (typical, own) = in_common(all, (boots - 1) as f64);
        Self {
            boots,
            base,
            cases: cases.len(),
            figures,
            variances,
            varying: varying.max(1),
            typical,
            own,
        }
    }

    /// Writes the scores that all cases would have if the boots of `side` were one side, and returns the largest.
    fn score(&self, side: &[usize], scores: &mut [Lanes]) -> f64 {
        let mut between = [0.0; LANES];
        for (shares, figures) in scores.iter_mut().zip(self.figures.chunks_exact(self.boots)) {
            let mut sums = [0.0; LANES];
            for &boot in side {
                for lane in 0..LANES {
                    sums[lane] += figures[boot][lane];
                }
            }
            for lane in 0..LANES {
                shares[lane] = sums[lane] * sums[lane];
                between[lane] += shares[lane];
            }
        }
        let mean_share = between.iter().sum::<f64>() / self.varying as f64;
        let others = (1.0 - self.own) * self.typical * within(mean_share);
        let mut largest = [0.0; LANES];
        for (scores, variances) in scores.iter_mut().zip(&self.variances) {
            for lane in 0..LANES {
                let noise = self.own * variances[lane] * within(scores[lane]) + others;
                scores[lane] *= variances[lane] / at_least(noise, f64::MIN_POSITIVE);
                largest[lane] = at_least(scores[lane], largest[lane]);
            }
        }
        largest.into_iter().fold(0.0, at_least)
    }

    /// The share of divisions whose largest score reaches that of each case, with the boots as they are.
    fn p_values(&self, alpha: f64) -> Vec<f64> {
        let labelings = labelings(self.boots, self.base, alpha);
        let mut scores = vec![[0.0; LANES]; self.variances.len()];
        let mut observed = scores.clone();
        let mut best = None;
        let mut largest = Vec::new();
        let mut hits = 0_usize;
        labelings.visit(|side| {
            let score = self.score(side, &mut scores);
            // The first division is the one that took place.
            let best = *best.get_or_insert_with(|| {
                observed.copy_from_slice(&scores);
                less_rounding(score)
            });
            largest.push(score);
            hits += usize::from(score >= best);
            // Draws may end once even the best case is surely no change: what they came to is as good an estimate (Besag and
            // Clifford, "Sequential Monte Carlo p-values", 1991).
            match labelings.drawn() {
                Some(drawn) if hits as f64 > alpha * drawn as f64 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        largest.sort_by(f64::total_cmp);
        let reaching = |score: f64| {
            let below = largest.partition_point(|&largest| largest < less_rounding(score));
            (largest.len() - below) as f64 / largest.len() as f64
        };
        let observed = &observed.as_flattened()[..self.cases];
        observed.iter().map(|&score| reaching(score)).collect()
    }
}

/// What a score has to be at least to reach this one.
fn less_rounding(score: f64) -> f64 {
    score * (1.0 - ROUNDING) - ROUNDING
}

/// What of a variance lies within the sides, where `between` of it lies between them; both are shares.
fn within(between: f64) -> f64 {
    at_least(1.0 - between, LEAST_WITHIN)
}

/// The greater one. Unlike `f64::max` it is one instruction, which matters a thousand times a millisecond: there is no NaN here.
fn at_least(figure: f64, least: f64) -> f64 {
    if figure > least { figure } else { least }
}

/// The figures relative to their mean, less 1, with the outermost ones drawn in.
fn relative(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let outermost = (sorted.len() + DRAWN_IN / 2) / DRAWN_IN;
    let outermost = outermost.min((sorted.len() - 1) / 2);
    let (low, high) = (sorted[outermost], sorted[sorted.len() - 1 - outermost]);
    if low == high {
        return vec![0.0; figures.len()];
    }
    let drawn_in = figures.iter().map(|figure| figure.clamp(low, high));
    let mean = drawn_in.clone().sum::<f64>() / figures.len() as f64;
    drawn_in.map(|figure| figure / mean - 1.0).collect()
}

/// The typical one of `variances`, each of this number of degrees of freedom, and the weight to give a case's own beside it: 0 if they
/// differ by no more than chance makes them, and the closer to 1 the more they do.
pub(super) fn in_common(variances: &[f64], freedom: f64) -> (f64, f64) {
    let positive = variances.iter().filter(|&&variance| variance > 0.0);
    let logarithms: Vec<f64> = positive.map(|variance| variance.ln()).collect();
    if logarithms.is_empty() {
        return (0.0, 0.0);
    }
    let number = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / number;
    let squares = logarithms
        .iter()
        .map(|logarithm| (logarithm - mean).powi(2));
    // The trigamma function, by its first terms: how far chance makes the logarithm of a normal sample's variance stray.
    let by_chance = |half: f64| 1.0 / half + 0.5 / (half * half);
    let excess = squares.sum::<f64>() / (number - 1.0).max(1.0) - by_chance(freedom / 2.0);
    let own = if excess > 0.0 {
        // And its inverse.
        let half = (1.0 + (1.0 + 2.0 * excess).sqrt()) / (2.0 * excess);
        freedom / (freedom + 2.0 * half)
    } else {
        0.0
    };
    (mean.exp(), own)
}
