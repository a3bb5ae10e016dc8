//! The suite as a whole: one figure a boot, which a change of all cases moves further than the noise of any.
//!
//! A boot's figure is the mean of the logarithms of its cases, each relative to its middle over all boots, without the fifth of
//! the cases at either end: a geometric mean of what most cases did. Yuen's test ([`welch`]) decides whether its two sides differ; a rank test
//! ([`rank_test`]), which no shape of noise misleads, has to agree at [`LESS_SURE`] times the probability.

use super::ticks::median;
use super::welch::{self, Design};
use super::{Finding, Row, rank_test};

/// Cases below which there is no suite to speak of.
const LEAST_CASES: usize = 5;
/// One case in this number is left out at either end.
const LEFT_OUT: usize = 5;
/// How many times less sure than the test of means the one of ranks may be.
const LESS_SURE: f64 = 10.0;
/// The row's name.
pub const NAME: &str = "whole suite";

/// The suite's row, judged at `alpha` by cases of the same boots; none where they are few. `least` is the least change that
/// counts, as a share.
pub fn judge(cases: &[Vec<f64>], design: Design<'_>, alpha: f64, least: f64) -> Option<Row> {
    let logarithms: Vec<Vec<f64>> = cases
        .iter()
        .filter(|case| case.iter().all(|figure| *figure > 0.0))
        .map(|case| {
            let middle = median(case);
            case.iter().map(|figure| (figure / middle).ln()).collect()
        })
        .collect();
    if logarithms.len() < LEAST_CASES {
        return None;
    }
    let boots = logarithms[0].len();
    let left_out = logarithms.len() / LEFT_OUT;
    let boot = |boot: usize| {
        let mut of_cases: Vec<f64> = logarithms.iter().map(|case| case[boot]).collect();
        of_cases.sort_by(f64::total_cmp);
        let kept = &of_cases[left_out..of_cases.len() - left_out];
        (kept.iter().sum::<f64>() / kept.len() as f64).exp()
    };
    let figures: Vec<f64> = (0..boots).map(boot).collect();
    let straight = welch::detrended(&figures, design);
    let (base, new) = straight.split_at(design.base);
    let by_ranks = rank_test::p_value(base, new);
    let by_means = welch::p_values(std::slice::from_ref(&figures), design)[0];
    let p = by_means.max(by_ranks / LESS_SURE);
    let [before, after] = [base, new].map(median);
    let rise = after / before - 1.0;
    let finding = match p <= alpha && rise.abs() > least {
        false => Finding::Same,
        true if rise > 0.0 => Finding::Slower,
        true => Finding::Faster,
    };
    Some(Row {
        name: NAME.to_owned(),
        // Relative to the base.
        base: Some(1.0),
        new: Some(after / before),
        finding,
        p: Some(by_ranks),
        joint_p: Some(p),
        muted: false,
        blame: Vec::new(),
    })
}
