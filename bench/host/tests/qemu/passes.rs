//! The cases many times over, in random order, as a clock of ticks runs them: each finds the machine as the first pass had it,
//! whatever ran before. A case that leaves something behind shows in another one's proof, or in the tables and frames at the end.

use std::time::Duration;

use super::{passed, pvh, run};
use pagemark_host::run::{Accelerator, Boot};

#[test]
fn every_case_holds_in_every_pass_next_to_every_other() {
    for seed in ["seed=1", "seed=2", "seed=3"] {
        let log = passed(&Boot {
            timeout: Duration::from_secs(600),
            ..pvh(&["suite=quick", "passes=3", seed])
        });
        let all_returned = log
            .checks
            .iter()
            .any(|check| check.name == "tables/all_returned");
        assert!(all_returned && log.results.len() > 100, "{seed}");
    }
}

/// The n-th sample of a case comes after as many others, however a run is cut into passes, and the harness costs what it costs. So
/// cases that own what they work on have the same samples; a pass that began anew would repeat its first ones.
#[test]
fn a_run_in_passes_takes_the_samples_of_one_in_a_row() {
    let run = |passes: &str| {
        passed(&pvh(&[
            "suite=quick",
            "rounds=6",
            passes,
            "only=buddy/*/order=0/zone=*",
        ]))
    };
    let [row, passes] = [run("passes=1"), run("passes=3")];
    assert!(row.results.len() > 5);
    for (row, passes) in row.results.iter().zip(&passes.results) {
        assert_eq!(row.case, passes.case);
        assert_eq!(row.rounds, passes.rounds, "{}", row.case);
        assert_eq!(row.overhead, passes.overhead, "{}", row.case);
    }
}

#[test]
fn every_case_of_the_full_suite_holds_in_a_second_pass_on_four_cpus() {
    let log = passed(&Boot {
        cpus: 4,
        timeout: Duration::from_secs(1200),
        ..pvh(&["suite=full", "passes=2", "rounds=10", "seed=4"])
    });
    assert!(log.results.len() > 300, "{}", log.results.len());
}

/// A run whose results come at its end says now and then where it is, and how long it will take; where instructions are counted it does
/// not, as logs are then equal.
#[test]
fn a_long_run_gives_signs_of_life() {
    let signs = |accelerator, words: &[&str], sign: &str| {
        let (outcome, finished) = run(&Boot {
            accelerator,
            ..pvh(words)
        });
        assert!(outcome.log().is_some());
        let text = String::from_utf8_lossy(&finished.raw);
        let signs = text
            .lines()
            .filter(|line| line.starts_with("# ") && line.contains(sign));
        signs.count()
    };
    let soak = ["suite=soak", "seconds=14", "only=control/*"];
    assert!(signs(Accelerator::Tcg, &soak, " of 14 s: control/") >= 1);
    let quick = ["suite=quick", "passes=3"];
    assert_eq!(signs(Accelerator::Icount, &quick, " s: "), 0);
}
