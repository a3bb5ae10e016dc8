//! What stops the gate, and what must not.

use pagemark_record::{Clock, Figure};
use proptest::prelude::*;

use super::baseline::{Baseline, Entry, Exact};
use super::mute::Mutes;
use super::rank_test::{least_p_value, p_value};
use super::ticks::{Boot, FALSE_ALARMS, Floors, Series, floors, judge};
use super::{Finding, exact, judged_in_cycles};
use crate::log::sample::good;
use crate::log::{Log, read};

fn baseline() -> Baseline {
    Baseline::of(&read(&good(Clock::Icount)).unwrap()).unwrap()
}

fn with(case: &str, by: u64) -> Baseline {
    let mut base = baseline();
    let Some(Entry::Measured(exact)) = base.cases.get_mut(case) else {
        panic!("{case}")
    };
    for figure in [
        &mut exact.min,
        &mut exact.median,
        &mut exact.p99,
        &mut exact.max,
    ] {
        *figure = Figure::from_thousandths(1000 * (figure.rounded() + by.cast_signed()));
    }
    base
}

#[test]
fn one_instruction_stops_the_gate_in_either_direction() {
    let (base, more) = (baseline(), with("tlb/invlpg", 1));
    for (old, new, finding) in [
        (&base, &more, Finding::Slower),
        (&more, &base, Finding::Faster),
    ] {
        let judgement = exact::judge(old, new, false).unwrap();
        assert_eq!(judgement.count(finding), 1);
        assert!(judgement.fails());
        let changed: Vec<_> = judgement
            .rows
            .iter()
            .filter(|row| row.finding != Finding::Same)
            .collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].name, "tlb/invlpg");
    }
    assert!(!exact::judge(&base, &base, false).unwrap().fails());
}

#[test]
fn a_case_that_comes_or_goes_stops_the_gate() {
    let base = baseline();
    let mut less = base.clone();
    less.cases.remove("tlb/invlpg");
    assert_eq!(
        exact::judge(&base, &less, false)
            .unwrap()
            .count(Finding::Gone),
        1
    );
    assert_eq!(
        exact::judge(&less, &base, false)
            .unwrap()
            .count(Finding::Added),
        1
    );
    let mut skipped = base.clone();
    skipped
        .cases
        .insert("tlb/invlpg".to_owned(), Entry::Skipped);
    assert!(exact::judge(&base, &skipped, false).unwrap().fails());
}

#[test]
fn a_muted_case_is_reported_and_does_not_count() {
    let mutes = Mutes::read("# noisy\n tlb/inv*  # for now\n");
    let mut judgement = exact::judge(&baseline(), &with("tlb/invlpg", 1), false).unwrap();
    judgement.mute(&mutes);
    assert!(!judgement.fails());
    assert!(
        judgement
            .render(crate::style::Look::Plain)
            .contains("slower, muted")
    );
    assert!(!mutes.contains("pt/map/pages=1"));
    assert!(Mutes::read("*/a*c/*z").contains("x/abc/yz"));
    assert!(!Mutes::read("a*").contains("ba"));
}

#[test]
fn another_machine_is_refused_unless_forced() {
    let base = baseline();
    let mut other = base.clone();
    other
        .fingerprint
        .parts
        .insert("CPU".to_owned(), "another".to_owned());
    let refusal = exact::judge(&base, &other, false).unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains("CPU: QEMU TCG CPU version 2.5+ | another")
    );
    assert!(exact::judge(&base, &other, true).is_ok());
}

#[test]
fn times_make_no_baseline() {
    assert_eq!(Baseline::of(&read(&good(Clock::Tsc)).unwrap()), None);
}

#[test]
fn a_bad_baseline_is_reported_by_its_line() {
    let text = baseline().to_string();
    for (line, what) in [
        ("tlb/invlpg", "no figure"),
        ("tlb/x 1.2345", "1.2345"),
        ("tlb/x 1 mean=3", "mean=3"),
        ("tlb/invlpg 1", "a second tlb/invlpg"),
        ("1 1", "\"1\" cannot be"),
        ("tlb/x skip 1", "too many"),
    ] {
        let error = (text.clone() + line).parse::<Baseline>().unwrap_err();
        assert_eq!(error.line, text.lines().count() + 1, "{error}");
        assert!(error.what.contains(what), "{error}");
    }
    assert!("nothing".parse::<Baseline>().is_err());
}

proptest! {
    #[test]
    fn a_baseline_reads_back(cases in proptest::collection::btree_map(
        "[a-z]{1,4}(/[a-z]{1,4}=[0-9]{1,3}){0,2}",
        proptest::option::of([-5_i64..1 << 50, 0..1 << 50, 0..1 << 50, 0..1 << 50]),
        0..20,
    )) {
        let mut base = baseline();
        base.cases = cases.into_iter().map(|(name, figures)| (name, figures.map_or(Entry::Skipped, |figures| {
            let [min, median, p99, max] = figures.map(Figure::from_thousandths);
            Entry::Measured(Exact { min, median, p99, max })
        }))).collect();
        prop_assert_eq!(base.to_string().parse::<Baseline>().unwrap(), base);
    }

    #[test]
    fn the_sides_of_the_test_are_alike(a in figures(), b in figures()) {
        let p = p_value(&a, &b);
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert!((p - p_value(&b, &a)).abs() < 1e-9);
        // With ties the distribution may have one such end instead of two.
        prop_assert!(p >= least_p_value(a.len(), b.len()) / 2.0 * (1.0 - 1e-9));
    }

    #[test]
    fn counting_divisions_is_trying_them_all(a in proptest::collection::vec(0_u8..6, 1..6), b in proptest::collection::vec(0_u8..6, 1..6)) {
        let [a, b] = [a, b].map(|side| side.into_iter().map(f64::from).collect::<Vec<_>>());
        prop_assert!((p_value(&a, &b) - tried(&a, &b)).abs() < 1e-9);
    }
}

fn figures() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec((0_u16..40).prop_map(f64::from), 1..12)
}

/// The same probability by U statistics of all divisions.
fn tried(a: &[f64], b: &[f64]) -> f64 {
    let pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    let distance = |mask: u32| {
        let side = |inside: bool| {
            pooled
                .iter()
                .enumerate()
                .filter(move |(place, _)| (mask >> place & 1 == 1) == inside)
                .map(|(_, &x)| x)
                .collect::<Vec<f64>>()
        };
        let (left, right) = (side(true), side(false));
        let u: f64 = left
            .iter()
            .flat_map(|x| {
                right.iter().map(move |y| {
                    if x > y {
                        1.0
                    } else if x == y {
                        0.5
                    } else {
                        0.0
                    }
                })
            })
            .sum();
        (u - (a.len() * b.len()) as f64 / 2.0).abs()
    };
    let observed = distance((1 << a.len()) - 1);
    let masks: Vec<u32> = (0..1_u32 << pooled.len())
        .filter(|mask| mask.count_ones() as usize == a.len())
        .collect();
    let far = masks
        .iter()
        .filter(|&&mask| distance(mask) >= observed - 1e-9)
        .count();
    far as f64 / masks.len() as f64
}

#[test]
fn the_published_least_probabilities() {
    let separated = |n: u32| {
        let side = |from: u32| (from..from + n).map(f64::from).collect::<Vec<_>>();
        p_value(&side(0), &side(100))
    };
    for (n, p) in [
        (4, 0.029),
        (5, 0.0079),
        (6, 0.0022),
        (7, 0.00058),
        (8, 0.00016),
        (10, 1.1e-5),
    ] {
        assert!(
            (separated(n) / p - 1.0).abs() < 0.04,
            "{n}: {}",
            separated(n)
        );
        assert!((separated(n) - least_p_value(n as usize, n as usize)).abs() < 1e-12);
    }
    // The two ways of computing meet where one takes over from the other.
    let side = |shift: f64, n: u32| (0..n).map(|x| f64::from(x) + shift).collect::<Vec<_>>();
    let (counted, approximated) = (
        p_value(&side(0.0, 30), &side(6.5, 30)),
        p_value(&side(0.0, 31), &side(6.5, 31)),
    );
    assert!(
        (counted / approximated - 1.0).abs() < 0.2,
        "{counted} {approximated}"
    );
}

fn boots(base: f64, n: usize) -> Vec<Boot> {
    let spread = (0..n).map(|boot| base * (1.0 + boot as f64 * 1e-4));
    spread
        .map(|figure| [("tlb/invlpg".to_owned(), figure)].into())
        .collect()
}

#[test]
fn too_few_boots_decide_nothing() {
    let finding = |n, alpha| {
        judge(
            &boots(200.0, n),
            &boots(220.0, n),
            &Floors::new(),
            Clock::Tsc,
            alpha,
        )
        .rows[0]
            .finding
    };
    assert_eq!(finding(7, 0.5), Finding::CannotDecide);
    assert_eq!(finding(8, FALSE_ALARMS), Finding::Slower);
    // Eight boots cannot be surer than 1.6e-4.
    assert_eq!(finding(8, 1e-4), Finding::CannotDecide);
}

#[test]
fn a_change_has_to_exceed_the_noise_that_history_shows() {
    let noisy: Series = [(
        "tlb/invlpg".to_owned(),
        (0..20).map(|x| 200.0 + f64::from(x % 2) * 10.0).collect(),
    )]
    .into();
    let floors = floors(&noisy, [1, 1]);
    assert!((floors["tlb/invlpg"] - 0.05).abs() < 0.02);
    let finding = |new| {
        judge(
            &boots(200.0, 10),
            &boots(new, 10),
            &floors,
            Clock::Tsc,
            FALSE_ALARMS,
        )
        .rows[0]
            .finding
    };
    assert_eq!(finding(204.0), Finding::Same);
    assert_eq!(finding(230.0), Finding::Slower);
    assert_eq!(finding(170.0), Finding::Faster);
}

#[test]
fn a_process_is_judged_in_cycles_unless_a_log_lacks_them() {
    let of = |loader: &str, cycles: Option<u64>| {
        let mut log = read(&good(Clock::Tsc)).unwrap();
        log.machine.as_mut().unwrap().loader = loader.to_owned();
        for result in &mut log.results {
            result.median = 100.into();
            result.cycles = cycles.map(Figure::from);
        }
        log
    };
    let with = |second| [of("process", Some(160)), second];
    let judged = |logs: &[Log]| {
        let figures = super::boots(logs, judged_in_cycles(logs));
        figures[0].values().copied().next().unwrap()
    };
    assert_eq!(judged(&with(of("process", Some(150)))), 160.0);
    assert_eq!(judged(&with(of("process", None))), 100.0);
    assert_eq!(judged(&with(of("pvh", Some(150)))), 100.0);
}
