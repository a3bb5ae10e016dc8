//! The figures themselves: the same on every machine, and few enough bytes for a real serial line.

use super::{explained, passed, pvh, run};
use pagemark_host::log::Log;
use pagemark_host::run::{Accelerator, Boot, repeat};
use pagemark_record::CaseResult;

/// What a line at 115,200 baud, ten bits a byte, takes in ten seconds.
const TEN_SECONDS: usize = 115_200;

#[test]
fn every_machine_yields_the_same_figures() {
    let repeated = repeat(&pvh(&["suite=quick"]), 6, &mut |_, _| ()).unwrap();
    assert!(repeated.differences.is_empty(), "{repeated:#?}");
    assert!(repeated.runs == 6 && repeated.cases > 40, "{repeated:?}");
}

#[test]
#[ignore = "takes half an hour"]
fn a_thousand_runs_yield_the_same_figures() {
    let repeated = repeat(&pvh(&["suite=quick"]), 1000, &mut |_, _| ()).unwrap();
    assert!(repeated.differences.is_empty(), "{repeated:#?}");
}

#[test]
fn the_order_of_the_cases_and_their_rounds_change_no_figure_and_no_check() {
    let figures = |words: &[&str]| {
        let log = passed(&pvh(&[&["only=tlb/*,pt/*"], words].concat()));
        let (figures, checks) = (log.results.into_iter(), log.checks.into_iter());
        let figures: Vec<_> = figures.map(|result| (result.case, result.median)).collect();
        let checks: Vec<_> = checks.map(|check| check.name).collect();
        (figures, checks)
    };
    let usual = figures(&[]);
    assert_eq!(figures(&["rounds=5"]), usual);
    assert_eq!(figures(&["rounds=6", "passes=3"]), usual);
    assert_eq!(figures(&["rounds=3", "passes=3", "seed=9"]), usual);
}

/// On a clock that does not count instructions hardly two samples are alike, so that the log is as long as it gets.
#[test]
fn the_quick_suite_s_log_takes_ten_seconds_on_a_real_line() {
    let (outcome, finished) = run(&Boot {
        accelerator: Accelerator::Tcg,
        ..pvh(&["suite=quick", "passes=2"])
    });
    assert_eq!(
        outcome.exit_status(),
        0,
        "{}",
        explained(&outcome, &finished)
    );
    let bytes = finished.raw.len();
    assert!(bytes <= TEN_SECONDS, "{bytes} bytes");
}

/// The place of the code that takes samples is no part of an instruction count; a sweep that stretched what is measured would show.
#[test]
fn a_sweep_of_alignments_changes_no_count() {
    let words = ["suite=quick", "only=control/*,tlb/invlpg,pt/map/pages=512"];
    let fixed = passed(&pvh(&words));
    let sweep = passed(&pvh(&[&words[..], &["align=sweep"]].concat()));
    let figures = |log: &Log| -> Vec<_> {
        let all = |result: &CaseResult<String>| (result.case.clone(), result.min, result.max);
        log.results.iter().map(all).collect()
    };
    assert!(figures(&fixed).len() >= 4, "{:?}", fixed.results);
    assert_eq!(figures(&fixed), figures(&sweep));
}
