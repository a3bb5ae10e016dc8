//! Several CPUs: how many run, and that a panic on one of them stops them all.

use super::{SHORT, passed, pvh, run, told};
use pagemark_host::log::Ending;
use pagemark_host::run::Boot;

/// A boot on a machine of so many CPUs.
fn on(cpus: u32, command_line: &[&str]) -> Boot {
    Boot {
        cpus,
        ..pvh(command_line)
    }
}

/// What the log says of the CPUs.
fn said(boot: &Boot) -> Vec<String> {
    let log = passed(boot);
    let notices = log.notices.into_iter();
    notices.filter(|text| text.starts_with("smp: ")).collect()
}

#[test]
fn as_many_cpus_run_as_are_asked_for() {
    for (cpus, word, running) in [(2, "smp=2", 2), (8, "smp=8", 8), (8, "smp=2", 2)] {
        let said = said(&on(cpus, &[SHORT[0], SHORT[1], word]));
        let expected = format!("smp: {running} CPUs run of {cpus} that there are (xAPIC)");
        assert_eq!(said, [expected]);
    }
}

#[test]
fn the_quick_suite_runs_on_one_and_the_full_suite_on_all() {
    assert!(said(&on(4, &SHORT)).is_empty());
    let said = said(&on(4, &["suite=full", "only=control/*"]));
    assert_eq!(said, ["smp: 4 CPUs run of 4 that there are (xAPIC)"]);
}

#[test]
fn more_cpus_than_there_are_is_told_and_all_of_them_run() {
    let said = said(&on(2, &[SHORT[0], SHORT[1], "smp=3"]));
    assert_eq!(
        said,
        [
            "smp: 3 CPUs were asked for, and there are 2",
            "smp: 2 CPUs run of 2 that there are (xAPIC)"
        ]
    );
}

/// Boots on four CPUs, of which the last one fails while the others write to the log, and returns what it said.
fn last_words(provoke: &str) -> String {
    let words = ["suite=quick", "smp=4", &format!("provoke={provoke}")];
    let (outcome, finished) = run(&on(4, &words));
    assert_eq!(outcome.exit_status(), 3, "{}", told(&outcome, &finished));
    let text = String::from_utf8_lossy(&finished.raw);
    let (_, after) = text.split_once("\"record\":\"panic\"").unwrap();
    assert!(
        !after.contains("is at work"),
        "another CPU went on after the panic:\n{after}"
    );
    match outcome.log().map(|log| &log.ending) {
        Some(Ending::Panic(panic)) => panic.message.clone(),
        _ => unreachable!("the exit status of a panic without one"),
    }
}

#[test]
fn a_panic_on_another_cpu_stops_all_and_says_which() {
    let message = last_words("other-cpu-panic");
    assert_eq!(message, "CPU 3: provoked on CPU 3 by the command line");
}

#[test]
fn another_cpu_has_guard_pages_and_exception_stacks_of_its_own() {
    let message = last_words("other-cpu-guard-page");
    let expected = "CPU 3: stack overflow: the main stack ran into its guard page";
    assert!(message.starts_with(expected), "{message}");
}
