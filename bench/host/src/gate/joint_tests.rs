//! What the joint test of a suite finds, and what it must not.

use pagemark_record::Clock;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal, StudentT};

use super::joint_test::{in_common, p_values};
use super::ticks::{Boot, FALSE_ALARMS, Floors, judge};
use super::{Finding, Judgement, judge_logs};
use crate::compare::Allow;
use crate::log::Log;
use crate::log::read;
use crate::log::sample::good;
use crate::style::Look;

/// A suite of whole figures, with this number of boots a side.
fn suites() -> impl Strategy<Value = (Vec<Vec<f64>>, usize)> {
    (1..5_usize, 2..6_usize, 2..6_usize).prop_flat_map(|(cases, base, new)| {
        let case = proptest::collection::vec((100_u8..110).prop_map(f64::from), base + new);
        (proptest::collection::vec(case, cases), Just(base))
    })
}

/// The same probabilities by the definition: each division's sides written out, with their means and sums of squares.
fn tried(cases: &[Vec<f64>], base: usize) -> Vec<f64> {
    let boots = cases[0].len();
    let cases: Vec<Vec<f64>> = cases.iter().map(|case| drawn_in(case)).collect();
    let variances: Vec<f64> = cases
        .iter()
        .map(|case| squares(case) / (boots - 1) as f64)
        .collect();
    let varying = variances.iter().filter(|&&variance| variance > 0.0);
    let varying = varying.count().max(1) as f64;
    let (typical, own) = in_common(&variances, (boots - 1) as f64);
    let scores = |mask: u32| {
        let within: Vec<f64> = cases
            .iter()
            .map(|case| {
                let side = |inside: bool| {
                    let places = (0..boots).filter(|place| (mask >> place & 1 == 1) == inside);
                    places.map(|place| case[place]).collect::<Vec<f64>>()
                };
                squares(&side(true)) + squares(&side(false))
            })
            .collect();
        // Cases that never vary lie neither within nor between.
        let shares = cases
            .iter()
            .zip(&within)
            .map(|(case, within)| match squares(case) {
                0.0 => 0.0,
                all => within / all,
            });
        let others = (1.0 - own) * typical * (shares.sum::<f64>() / varying).max(1e-12);
        cases
            .iter()
            .zip(&within)
            .map(|(case, within)| {
                let all = squares(case);
                if all == 0.0 {
                    return 0.0;
                }
                let freedom = (boots - 1) as f64;
                (all - within) / freedom / (own * within.max(1e-12 * all) / freedom + others)
            })
            .collect::<Vec<f64>>()
    };
    let divisions = (0..1_u32 << boots).filter(|mask| mask.count_ones() as usize == base);
    let largest: Vec<f64> = divisions
        .map(|mask| scores(mask).into_iter().fold(0.0, f64::max))
        .collect();
    let share = |observed: f64| {
        let reaching = largest
            .iter()
            .filter(|&&score| score >= observed * (1.0 - 1e-7) - 1e-9);
        reaching.count() as f64 / largest.len() as f64
    };
    scores((1 << base) - 1).into_iter().map(share).collect()
}

fn squares(figures: &[f64]) -> f64 {
    let mean = figures.iter().sum::<f64>() / figures.len() as f64;
    figures.iter().map(|figure| (figure - mean).powi(2)).sum()
}

/// Relative to the mean; of ten figures the least and the greatest become their neighbours.
fn drawn_in(figures: &[f64]) -> Vec<f64> {
    let mut figures = figures.to_vec();
    if figures.len() >= 10 {
        let mut sorted = figures.clone();
        sorted.sort_by(f64::total_cmp);
        for figure in &mut figures {
            *figure = figure.clamp(sorted[1], sorted[sorted.len() - 2]);
        }
    }
    let mean = figures.iter().sum::<f64>() / figures.len() as f64;
    figures.iter().map(|figure| figure / mean).collect()
}

fn close(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-9)
}

/// Below what so few boots can come to: all divisions are looked at, and nothing is set aside.
const SMALL: f64 = 0.001;

proptest! {
    #[test]
    fn permuting_is_trying_all_divisions((cases, base) in suites()) {
        let (p, tried) = (p_values(&cases, base, SMALL), tried(&cases, base));
        prop_assert!(close(&p, &tried), "{p:?} {tried:?}");
    }

    #[test]
    fn neither_side_nor_order_nor_unit_matters((cases, base) in suites(), turn in 0..4_usize) {
        let p = p_values(&cases, base, SMALL);
        let mut swapped = cases.clone();
        swapped.iter_mut().for_each(|case| case.rotate_left(base));
        prop_assert!(close(&p, &p_values(&swapped, cases[0].len() - base, SMALL)));
        let mut reversed = cases.clone();
        reversed.iter_mut().for_each(|case| case[..base].reverse());
        prop_assert!(close(&p, &p_values(&reversed, base, SMALL)));
        let mut scaled = cases.clone();
        scaled[0].iter_mut().for_each(|figure| *figure *= 1024.0);
        prop_assert!(close(&p, &p_values(&scaled, base, SMALL)));
        let turn = turn % cases.len();
        let mut turned = cases;
        turned.rotate_left(turn);
        let mut other = p_values(&turned, base, SMALL);
        other.rotate_right(turn);
        prop_assert!(close(&p, &other));
    }
}

fn normal(random: &mut StdRng) -> f64 {
    StandardNormal.sample(random)
}

/// Boots of both sides, with normal noise of 0.4 %, where the cases `slow` cost 2 % more on the new side.
fn campaign(cases: usize, boots: usize, slow: impl Fn(usize) -> bool) -> [Vec<Boot>; 2] {
    let mut random = StdRng::seed_from_u64(7);
    let mut side = |cost: f64| {
        let boot = |_| {
            let figures = (0..cases).map(|case| {
                let cost = if slow(case) { cost } else { 1.0 };
                let figure = 200.0 * cost * (1.0 + 0.004 * normal(&mut random));
                (format!("{case:03}"), figure)
            });
            figures.collect()
        };
        (0..boots).map(boot).collect()
    };
    [side(1.0), side(1.02)]
}

fn judged(base: &[Boot], new: &[Boot]) -> Judgement {
    judge(base, new, &Floors::new(), Clock::Tsc, FALSE_ALARMS)
}

/// The cases with that finding.
fn with(judgement: &Judgement, finding: Finding) -> Vec<&str> {
    let rows = judgement.rows.iter().filter(|row| row.finding == finding);
    rows.map(|row| row.name.as_str()).collect()
}

#[test]
fn the_one_case_that_changed_is_named_and_no_other() {
    for boots in [10, 11, 30] {
        let [base, new] = campaign(60, boots, |case| case == 31);
        let judgement = judged(&base, &new);
        assert_eq!(with(&judgement, Finding::Slower), ["031"], "{boots} boots");
        assert_eq!(judgement.count(Finding::Same), 59);
        assert_eq!(with(&judged(&new, &base), Finding::Faster), ["031"]);
    }
}

#[test]
fn many_that_changed_hide_neither_each_other_nor_the_rest() {
    let [base, new] = campaign(60, 10, |_| true);
    assert_eq!(judged(&base, &new).count(Finding::Slower), 60);
    let [base, new] = campaign(60, 10, |case| case % 2 == 1);
    let judgement = judged(&base, &new);
    assert_eq!(judgement.count(Finding::Slower), 30);
    let odd = |name: &&str| name.parse::<usize>().unwrap() % 2 == 1;
    assert!(with(&judgement, Finding::Slower).iter().all(odd));
}

#[test]
fn a_boot_gone_astray_hides_nothing_and_is_nothing() {
    for side in 0..2 {
        let [mut base, mut new] = campaign(60, 10, |case| case == 31);
        for case in ["031", "040"] {
            *[&mut base, &mut new][side][4].get_mut(case).unwrap() *= 1.3;
        }
        let judgement = judged(&base, &new);
        assert_eq!(with(&judgement, Finding::Slower), ["031"], "side {side}");
    }
}

#[test]
fn neither_many_cases_nor_eight_boots_are_too_much() {
    for (cases, boots) in [(136, 10), (60, 8)] {
        let mut sides = campaign(cases, boots, |_| false);
        for boot in &mut sides[1] {
            *boot.get_mut("007").unwrap() *= 1.03;
        }
        let judgement = judged(&sides[0], &sides[1]);
        assert_eq!(with(&judgement, Finding::Slower), ["007"]);
        assert_eq!(judgement.count(Finding::CannotDecide), 0);
    }
}

#[test]
fn a_case_that_some_boots_lack_is_judged_by_those_that_have_it() {
    let [mut base, mut new] = campaign(60, 13, |case| case % 10 == 1);
    // Eleven boots of either side have one case, seven of one side have another.
    for boot in 0..2 {
        base[boot].remove("001");
        new[boot + 3].remove("001");
    }
    for boot in &mut base[..6] {
        boot.remove("011");
    }
    let judgement = judged(&base, &new);
    assert_eq!(with(&judgement, Finding::CannotDecide), ["011"]);
    let expected = ["001", "021", "031", "041", "051"];
    assert_eq!(with(&judgement, Finding::Slower), expected);
}

#[test]
fn logs_are_judged_boot_by_boot_and_both_probabilities_are_reported() {
    let log = read(&good(Clock::Tsc)).unwrap();
    // Boots of one image differ by a tick in a thousand.
    let side = |cost: u64, odd: u64| {
        let boot = |boot: u64| {
            let mut log = log.clone();
            let slow = &mut log.results[0];
            slow.median = (cost * 1000 + 2 * boot + odd).into();
            log
        };
        (0..8).map(boot).collect::<Vec<Log>>()
    };
    let judged = |new: &[Log]| judge_logs(&side(100, 0), new, &[], FALSE_ALARMS, false).unwrap();
    let judgement = judged(&side(102, 1));
    assert!(judgement.fails());
    assert_eq!(
        with(&judgement, Finding::Slower),
        [log.results[0].case.as_str()]
    );
    let text = judgement.render(Look::Plain);
    // Two of the 12,870 divisions are as far apart, by either test.
    assert_eq!(text.matches("1.6e-4").count(), 2, "{text}");
    assert!(text.contains("permuted and by Yuen's test"), "{text}");
    let same = judged(&side(100, 1));
    assert!(!same.fails());
    assert_eq!(same.count(Finding::Same), log.results.len());
}

#[test]
fn what_the_draws_do_not_settle_is_not_decided() {
    let [base, new] = campaign(2, 30, |_| true);
    let judged = |alarms| judge(&base, &new, &Floors::new(), Clock::Tsc, alarms);
    assert_eq!(judged(1e-9).count(Finding::CannotDecide), 2);
}

#[test]
fn figures_that_never_vary_are_no_change_and_do_no_harm() {
    let cases = [vec![0.0; 20], vec![5.0; 20]];
    assert!(close(&p_values(&cases, 10, FALSE_ALARMS), &[1.0, 1.0]));
    // Each side for itself never varies, and they differ: as sure as can be.
    let step: Vec<f64> = (0..20).map(|boot| f64::from(boot / 10)).collect();
    let p = p_values(
        &[cases[0].clone(), step, cases[1].clone()],
        10,
        FALSE_ALARMS,
    );
    assert!(p[1] <= FALSE_ALARMS);
    assert!(close(&[p[0], p[2]], &[1.0, 1.0]));
}

/// With tails as heavy as they come, cases as unlike as they come, and all of them moving together in part.
#[test]
fn false_alarms_are_as_many_as_allowed() {
    const SUITES: usize = 1000;
    let tails = StudentT::new(2.0).unwrap();
    let mut random = StdRng::seed_from_u64(3);
    let mut alarms = 0;
    for _ in 0..SUITES {
        let common: [f64; 10] = std::array::from_fn(|_| normal(&mut random));
        let case = |_| {
            let size = 0.01 * 10_f64.powf(random.random_range(-1.0..0.0));
            let boots = common.iter();
            boots
                .map(|common| 1.0 + size * (common + tails.sample(&mut random)).max(-50.0))
                .collect()
        };
        let cases: Vec<Vec<f64>> = (0..8).map(case).collect();
        alarms += usize::from(p_values(&cases, 5, 0.05).iter().any(|&p| p <= 0.05));
    }
    // Of 252 divisions, 12 are one in twenty: 48 expected, within five standard deviations.
    assert!(alarms.abs_diff(48) < 34, "{alarms}");
}

/// Logs of one image whose first case has these figures, the others a little noise; `boot=` numbers them as `order` says.
fn logs(revision: &str, figures: &[u64], numbers: &[usize]) -> Vec<Log> {
    let log = read(&good(Clock::Tsc)).unwrap();
    let boots = figures.iter().zip(numbers);
    boots
        .map(|(figure, number)| {
            let mut log = log.clone();
            revision.clone_into(&mut log.start.revision);
            log.start.command_line = format!("suite=quick boot={number}");
            log.results[0].median = (*figure).into();
            log
        })
        .collect()
}

fn evens(odd: usize) -> Vec<usize> {
    (0..10).map(|boot| 2 * boot + odd).collect()
}

fn figures(from: u64) -> Vec<u64> {
    (0..10).map(|boot| from + boot * 7 % 10).collect()
}

fn refusal(base: &[Log], new: &[Log], history: &[Log]) -> String {
    judge_logs(base, new, history, FALSE_ALARMS, false)
        .unwrap_err()
        .to_string()
}

#[test]
fn sides_that_did_not_take_turns_are_refused() {
    let first: Vec<usize> = (0..10).collect();
    let then: Vec<usize> = (10..20).collect();
    let (base, new) = (
        logs("a", &figures(100_000), &first),
        logs("b", &figures(102_000), &then),
    );
    let why = refusal(&base, &new, &[]);
    assert!(
        why.contains("turns: ") && why.contains("bbbbbbbbbbnnnnnnnnnn"),
        "{why}"
    );
    let allow = Allow {
        force: false,
        ignored: vec!["turns".parse().unwrap()],
    };
    assert!(judge_logs(&base, &new, &[], FALSE_ALARMS, allow).is_ok());
    let (base, new) = (
        logs("a", &figures(100_000), &evens(0)),
        logs("b", &figures(102_000), &evens(1)),
    );
    let judgement = judge_logs(&base, &new, &[], FALSE_ALARMS, false).unwrap();
    assert_eq!(judgement.count(Finding::Slower), 1);
    assert!(judgement.notes.is_empty(), "{:?}", judgement.notes);
}

#[test]
fn one_boot_ten_times_over_is_one_boot() {
    let base = logs("a", &figures(100_000), &evens(0));
    let new = logs("b", &[102_000; 10], &evens(1));
    let judgement = judge_logs(&base, &new, &[], FALSE_ALARMS, false).unwrap();
    assert_eq!(
        judgement.count(Finding::Slower) + judgement.count(Finding::Faster),
        0
    );
    assert_eq!(judgement.count(Finding::CannotDecide), 5);
    assert_eq!(
        judgement.notes[0],
        "new: 9 logs equal to another, counted once"
    );
    assert!(refusal(&base, &base, &[]).contains("one log is on both sides"));
}

#[test]
fn revisions_mixed_within_a_side_are_refused() {
    let base = logs("a", &figures(100_000), &evens(0));
    let mut new = logs("b", &figures(102_000), &evens(1));
    "c".clone_into(&mut new[3].start.revision);
    let why = refusal(&base, &new, &[]);
    assert!(why.contains("revision: new mixes images: b | c"), "{why}");
}

#[test]
fn history_is_of_the_same_machine_and_hides_nothing() {
    let (base, new) = (
        logs("a", &figures(100_000), &evens(0)),
        logs("b", &figures(102_000), &evens(1)),
    );
    // Single boots 0.5 % apart: their steps reach further than a difference of medians of ten.
    let noisy: Vec<u64> = (0..30).map(|boot| 100_000 + boot * 379 % 1_400).collect();
    let numbers: Vec<usize> = (0..30).collect();
    let mut history = logs("a", &noisy, &numbers);
    let judgement = judge_logs(&base, &new, &history, FALSE_ALARMS, false).unwrap();
    assert_eq!(judgement.count(Finding::Slower), 1);
    history[4].machine.as_mut().unwrap().model += 1;
    let why = refusal(&base, &new, &history);
    assert!(why.contains("history: family/model/stepping"), "{why}");
}

#[test]
fn a_change_of_all_cases_is_one_of_the_suite() {
    let mut random = StdRng::seed_from_u64(11);
    // Too little for any case alone.
    let mut side = |cost: f64| -> Vec<Boot> {
        let boot = |_| {
            let cases = (0..60).map(|case| {
                let figure = 200.0 * cost * (1.0 + 0.01 * normal(&mut random));
                (format!("{case:03}"), figure)
            });
            cases.collect()
        };
        (0..10).map(boot).collect()
    };
    let (base, new) = (side(1.0), side(1.01));
    let judgement = judged(&base, &new);
    let suite = judgement.suite.as_ref().unwrap();
    assert_eq!(suite.finding, Finding::Slower);
    assert!((suite.rise() - 0.01).abs() < 0.003, "{}", suite.rise());
    assert!(judgement.fails());
    let text = judgement.render(Look::Plain);
    assert!(text.contains("whole suite"), "{text}");
    let same = judged(&base, &side(1.0));
    assert!(!same.fails() && same.suite.unwrap().finding == Finding::Same);
}

/// A permutation test alone raises a false alarm in a third of such suites.
#[test]
fn a_noisier_side_of_fewer_boots_is_no_change() {
    let mut random = StdRng::seed_from_u64(13);
    let mut alarms = 0;
    for _ in 0..12 {
        let mut side = |boots: usize, noise: f64| -> Vec<Boot> {
            let boot = |_| {
                let cases = (0..30).map(|case| {
                    let figure = 200.0 * (1.0 + noise * normal(&mut random));
                    (format!("{case:03}"), figure)
                });
                cases.collect()
            };
            (0..boots).map(boot).collect()
        };
        let (base, new) = (side(30, 0.005), side(8, 0.015));
        alarms += usize::from(judged(&base, &new).fails());
    }
    assert_eq!(alarms, 0);
}
