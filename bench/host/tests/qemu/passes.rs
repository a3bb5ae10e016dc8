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
