//! The tables as people see them. The snapshots are to be read: a table that is no pleasure is a failure.

use insta::assert_snapshot;
use pagemark_record::{Check, Clock, Error, Record, Verdict};

use super::{Detail, render, render_as};
use crate::log::read;
use crate::log::sample::{good, panicked, run, start, written};
use crate::style::Look;

fn shown(log: &[u8]) -> String {
    render(&read(log).unwrap(), Look::Plain, None)
}

#[test]
fn a_run_counted_in_instructions() {
    assert_snapshot!(shown(&good(Clock::Icount)));
}

#[test]
fn a_run_in_ticks() {
    assert_snapshot!(shown(&good(Clock::Tsc)));
}

#[test]
fn a_failed_check_is_reported_in_full() {
    let long = "the page at 0xffffc90000001000 still reads 0x5a5a5a5a after its flush; a fault at that address was due".repeat(2);
    assert_snapshot!(shown(&written(|log| {
        run(log, Clock::Emulated);
        let check = Check {
            name: "vmalloc/unmap".into(),
            pass: false,
            detail: long.as_str().into(),
        };
        log.record(&Record::Check(check)).unwrap();
        log.end(Verdict::Fail).unwrap();
    })));
}

#[test]
fn a_panic() {
    assert_snapshot!(shown(&panicked()));
}

#[test]
fn a_run_that_could_not_be_made() {
    assert_snapshot!(shown(&written(|log| {
        log.record(&start("quick")).unwrap();
        log.record(&Record::Error(Error {
            message: "command line: `colour` is no key (colour=red)".into(),
        }))
        .unwrap();
        log.end(Verdict::Error).unwrap();
    })));
}

#[test]
fn every_line_fits_a_hundred_columns_and_ends_without_spaces() {
    for log in [
        good(Clock::Icount),
        good(Clock::Tsc),
        good(Clock::Emulated),
        panicked(),
    ] {
        for line in shown(&log).lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert_eq!(line, line.trim_end());
        }
    }
}

/// Columns go where there is no room for them; a name stays whole, and the verdict and the summary stand ahead of the table.
#[test]
fn the_table_fits_its_terminal_and_breaks_no_name() {
    let log = read(&good(Clock::Tsc)).unwrap();
    for width in [50, 60, 80, 120] {
        let detail = Detail {
            width: Some(width),
            ..Detail::default()
        };
        let text = render_as(&log, Look::Plain, None, &detail);
        let head = text.split("\n  control\n").next().unwrap();
        assert!(
            head.contains("verdict") && head.contains("INVLPG"),
            "{text}"
        );
        for result in &log.results {
            // Cases stand in groups of the first part of their names.
            let (_, name) = result.case.split_once('/').unwrap();
            let row = text.lines().find(|line| {
                line.trim_start()
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(' '))
            });
            let row = row.unwrap_or_else(|| panic!("{} in\n{text}", result.case));
            assert!(row.chars().count() <= usize::from(width), "{row}");
        }
    }
}

#[test]
fn escape_sequences_are_for_terminals() {
    let log = read(&good(Clock::Icount)).unwrap();
    assert!(render(&log, Look::Terminal, None).contains('\x1b'));
    assert!(!render(&log, Look::Plain, None).contains('\x1b'));
}
