//! What is a regression, and what is not compared at all.

use insta::assert_snapshot;
use pagemark_record::{CaseResult, Clock, Environment, Figure, Frequencies, Hex, Verdict};

use super::beside::Beside;
use super::{Change, DEFAULT_THRESHOLD, compare};
use crate::figures::{Entry, in_every_unit};
use crate::log::sample::{good, panicked, run, written};
use crate::log::{Log, read};
use crate::style::Look;

fn log(clock: Clock) -> Log {
    read(&good(clock)).unwrap()
}

fn with_median(clock: Clock, median: u64) -> Log {
    let mut log = log(clock);
    let (case, rounds) = ("tlb/invlpg".to_owned(), "0".to_owned());
    log.results = vec![CaseResult {
        median: median.into(),
        p99: u64::MAX.into(),
        max: u64::MAX.into(),
        ..CaseResult::of_equal(case, clock.unit(), 0.into(), 100, rounds)
    }];
    log
}

/// Moves a figure by whole units.
fn more(figure: &mut Figure, by: i64) {
    *figure = Figure::from_thousandths(1000 * figure.rounded().saturating_add(by));
}

#[test]
fn what_neither_run_resolves_is_no_change() {
    let with = |median: i64| {
        let mut log = with_median(Clock::Tsc, 0);
        log.results[0].median = Figure::from_thousandths(1000 * median);
        log.results[0].resolution = Some(52.into());
        log
    };
    let comparison = compare(&with(-26), &with(40), 5.0, false).unwrap();
    assert_eq!(comparison.rows()[0].change, Change::None);
    assert!(comparison.render(Look::Plain).contains("< 52"));
    let comparison = compare(&with(0), &with(78), 5.0, false).unwrap();
    assert_eq!(comparison.rows()[0].change, Change::Regression);
}

fn change(clock: Clock, base: u64, new: u64, threshold: f64) -> Change {
    let (base, new) = (with_median(clock, base), with_median(clock, new));
    compare(&base, &new, threshold, false).unwrap().rows()[0].change
}

#[test]
fn one_instruction_more_is_a_regression_whatever_the_threshold() {
    let icount = |base, new| change(Clock::Icount, base, new, 50.0);
    assert_eq!(icount(1_000_000, 1_000_001), Change::Regression);
    assert_eq!(icount(0, 1), Change::Regression);
    assert_eq!(icount(7, 7), Change::None);
    assert_eq!(icount(7, 6), Change::Improvement);
}

/// New microcode can make an instruction dearer, and a fractured TLB a flush; what struck one run is reported case by case.
#[test]
fn other_microcode_is_another_machine_and_a_disturbance_is_none() {
    let with = |microcode, tags: &str| {
        let mut log = log(Clock::Tsc);
        log.environment = Some(environment(microcode, tags));
        log
    };
    let base = with(Some(Hex(0x21)), "smi");
    for passing in [
        "steal",
        "preempted migrated frequency",
        "overhead_varies",
        "walks_do_not_fit",
    ] {
        let struck = with(Some(Hex(0x21)), passing);
        assert!(compare(&base, &struck, 5.0, false).is_ok(), "{passing}");
    }
    let refused = |new: &Log| compare(&base, new, 5.0, false).unwrap_err().to_string();
    let newer = with(Some(Hex(0x22)), "");
    assert!(refused(&newer).contains("microcode: 0x21 | 0x22"));
    assert!(refused(&with(None, "")).contains("microcode: 0x21 | none"));
    let fractured = with(Some(Hex(0x21)), "smi fractured");
    assert!(refused(&fractured).contains("tags: none | fractured"));
    assert!(refused(&log(Clock::Tsc)).contains("microcode: 0x21 | -"));
    assert!(compare(&base, &newer, 5.0, true).is_ok());
}

/// Ticks of two rates are not the same time. A rate that was counted is never twice the same, and a log of instructions has none.
#[test]
fn another_tick_rate_is_another_machine_and_one_that_was_counted_again_is_not() {
    let at = |clock, hertz: Option<u64>, counted: Option<u64>| {
        let mut log = log(clock);
        log.machine.as_mut().unwrap().tsc_hz = hertz;
        log.environment = Some(environment(None, ""));
        log.environment.as_mut().unwrap().frequencies.pit = counted;
        log
    };
    let ticks = |hertz| at(Clock::Tsc, Some(hertz), None);
    let refused = |base: &Log, new: &Log| match compare(base, new, 5.0, false) {
        Ok(_) => String::new(),
        Err(refusal) => refusal.to_string(),
    };
    let base = ticks(2_200_000_000);
    // Two boots of one machine: the worst of its timers is good to 1,000 millionths.
    for same in [2_200_000_000, 2_199_998_214, 2_202_200_000] {
        assert_eq!(refused(&base, &ticks(same)), "");
        assert_eq!(refused(&ticks(same), &base), "");
    }
    // A base clock one per cent higher, the next CPU of the series, the same twice.
    for other in [2_222_000_000, 2_300_000_000, 4_400_000_000, 1] {
        let message = refused(&base, &ticks(other));
        assert!(message.contains("TSC in Hz: 2,200,000,000 | "), "{message}");
        assert_ne!(refused(&ticks(other), &base), "");
    }
    let unknown = at(Clock::Tsc, None, None);
    assert!(refused(&base, &unknown).contains("TSC in Hz: 2,200,000,000 | -"));
    assert_eq!(refused(&unknown, &unknown), "");
    // A source that was outvoted is no rate of anything.
    let outvoted = at(Clock::Tsc, Some(2_200_000_300), Some(4_400_000_000));
    assert_eq!(refused(&base, &outvoted), "");
    let [one, other] = [1_000_000_000, 2_000_000_000].map(|hz| at(Clock::Icount, Some(hz), None));
    assert_eq!(refused(&one, &other), "");
}

fn environment(microcode: Option<Hex>, tags: &str) -> Environment<String> {
    Environment {
        class: "silicon".to_owned(),
        shift: None,
        tags: tags.to_owned(),
        nops: [250, 250],
        additions: None,
        cpuid: None,
        quantum: 1,
        rdtscp: true,
        invariant_tsc: true,
        lfence: "always".to_owned(),
        frequencies: Frequencies::default(),
        disagreement_ppm: None,
        cycles_per_1000_ticks: None,
        core_clock: "none".to_owned(),
        smi_count: None,
        steal_ns: None,
        microcode,
        not_write_back: None,
        fractured: None,
        cold: None,
        frequency: None,
        counters: None,
        kernel: None,
        masked: String::new(),
    }
}

#[test]
fn ticks_have_to_move_by_more_than_the_threshold() {
    let tsc = |base, new| change(Clock::Tsc, base, new, DEFAULT_THRESHOLD);
    assert_eq!(tsc(1000, 1050), Change::None);
    assert_eq!(tsc(1000, 1051), Change::Regression);
    assert_eq!(tsc(1000, 950), Change::None);
    assert_eq!(tsc(1000, 949), Change::Improvement);
    // Two ticks are a counter's step, not a change.
    assert_eq!(tsc(0, 2), Change::None);
    assert_eq!(tsc(0, 3), Change::Regression);
    assert_eq!(tsc(u64::MAX, 0), Change::Improvement);
    assert_eq!(change(Clock::Tsc, 1000, 1051, 6.0), Change::None);
}

#[test]
fn an_exact_figure_other_than_the_median_counts_too() {
    let (base, mut new) = (log(Clock::Icount), log(Clock::Icount));
    more(&mut new.results[3].max, 1);
    let comparison = compare(&base, &new, DEFAULT_THRESHOLD, false).unwrap();
    assert_eq!(comparison.count(Change::Regression), 1);
    let row = comparison
        .rows()
        .iter()
        .find(|row| row.change == Change::Regression)
        .unwrap();
    assert_eq!(row.name, "page-table/map/pages=512 (max)");
}

#[test]
fn the_table() {
    let (mut base, mut new) = (log(Clock::Icount), log(Clock::Icount));
    more(&mut new.results[2].median, 1);
    more(&mut new.results[2].p99, 1);
    more(&mut new.results[2].max, 1);
    more(&mut new.results[3].median, -4);
    new.results[4].case = "vmalloc/alloc/size=32MiB".to_owned();
    base.results[0].median = 0.into();
    let comparison = compare(&base, &new, DEFAULT_THRESHOLD, false).unwrap();
    assert_eq!(
        (comparison.only_base().len(), comparison.only_new().len()),
        (1, 1)
    );
    assert_snapshot!(comparison.render(Look::Plain));
}

#[test]
fn equal_runs() {
    let log = log(Clock::Tsc);
    assert_snapshot!(
        compare(&log, &log, DEFAULT_THRESHOLD, false)
            .unwrap()
            .render(Look::Plain)
    );
}

#[test]
fn what_does_not_compare_is_refused_with_the_reason() {
    let base = log(Clock::Icount);
    let refusal = |new: &Log| {
        compare(&base, new, DEFAULT_THRESHOLD, false)
            .unwrap_err()
            .to_string()
    };

    let mut other = log(Clock::Icount);
    other.machine.as_mut().unwrap().cpu = "another CPU".to_owned();
    other.start.suite = "full".to_owned();
    assert_eq!(
        refusal(&other),
        "the two runs do not compare:\n  CPU: QEMU TCG CPU version 2.5+ | another CPU\n  suite: quick | full\n\
         (--ignore PART passes over one of them, --force over all but a clock's)"
    );
    assert!(compare(&base, &other, DEFAULT_THRESHOLD, true).is_ok());

    assert!(refusal(&read(&panicked()).unwrap()).contains("new: the run ended in a panic"));
    let failed = written(|log| {
        run(log, Clock::Icount);
        log.end(Verdict::Fail).unwrap();
    });
    assert!(refusal(&read(&failed).unwrap()).contains("new: the run's verdict is fail"));
}

#[test]
fn force_does_not_set_one_clock_against_another() {
    for other in [Clock::Tsc, Clock::Emulated] {
        let refused =
            compare(&log(Clock::Icount), &log(other), DEFAULT_THRESHOLD, true).unwrap_err();
        assert!(
            refused.to_string().contains("clock: icount | "),
            "{refused}"
        );
    }
    // One unit, two meanings.
    let [ticks, emulated] = [Clock::Tsc, Clock::Emulated].map(log);
    for force in [false, true] {
        assert!(compare(&ticks, &emulated, DEFAULT_THRESHOLD, force).is_err());
    }
}

#[test]
fn figures_of_another_tool_stand_beside_a_log_s_in_the_unit_they_share() {
    let mut ours = log(Clock::Tsc);
    ours.results.truncate(4);
    ours.results[1].ns = Some(250.into());
    let theirs = vec![
        Entry::new("control/empty", "ticks", 0.0),
        Entry::new("control/nops=1000", "ms", 0.000_2),
        Entry::new("tlb/invlpg", "insns", 12.0),
        Entry::new("getpid", "ns", 90.25),
    ];
    let (theirs, ours) = (
        (theirs, "somebody's".to_owned()),
        (in_every_unit(&ours), "ours".to_owned()),
    );
    let beside = Beside::new(theirs, ours);
    let units: Vec<_> = beside.rows().iter().map(|row| row.one_unit()).collect();
    assert_eq!(units, [true, true, false]);
    assert_snapshot!(beside.render(Look::Plain));
}
