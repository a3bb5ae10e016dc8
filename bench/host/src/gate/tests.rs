//! One instruction is enough to fail, in either direction, and nothing is held against what is unlike.

use pagemark_record::{Clock, Figure};
use proptest::prelude::*;

use super::{Baseline, BaselineError, Case, Mute, MuteError, Refusal, gate, measured};
use crate::log::tests::{good, panicked};
use crate::log::{Log, read};
use crate::style::Look;

fn log() -> Log {
    read(&good(Clock::Icount)).unwrap()
}

fn baseline() -> Baseline {
    measured(&log()).unwrap()
}

fn more(figure: &mut Figure) {
    *figure = Figure::from_thousandths(figure.thousandths() + 1000);
}

#[test]
fn a_log_is_as_the_baseline_that_it_makes() {
    let verdicts = gate(&baseline(), &log(), &Mute::default()).unwrap();
    assert!(verdicts.pass());
    assert_eq!(verdicts.equal, log().results.len());
    assert!(
        verdicts
            .render(Look::Plain)
            .contains("0 figures up, 0 figures down")
    );
}

#[test]
fn one_instruction_fails_in_either_direction_and_names_the_case() {
    for up in [true, false] {
        let (mut base, mut new) = (baseline(), log());
        let name = new.results[0].case.clone();
        if up {
            more(&mut new.results[0].median);
        } else {
            more(&mut base.cases[0].figures[0]);
        }
        let verdicts = gate(&base, &new, &Mute::default()).unwrap();
        assert!(!verdicts.pass());
        assert_eq!(verdicts.differences.len(), 1);
        assert_eq!(verdicts.differences[0].case, name);
        let told = verdicts.render(Look::Plain);
        assert!(told.contains(if up { "+1" } else { "-1" }), "{told}");
        let muted: Mute = format!("{name} # moved by the linker").parse().unwrap();
        let verdicts = gate(&base, &new, &muted).unwrap();
        assert!(verdicts.pass() && verdicts.muted == [name]);
    }
}

#[test]
fn another_statistic_alone_is_a_difference_too() {
    let mut new = log();
    more(&mut new.results[0].max);
    let verdicts = gate(&baseline(), &new, &Mute::default()).unwrap();
    assert_eq!(verdicts.differences.len(), 1);
    assert_eq!(verdicts.differences[0].statistic, "max");
}

#[test]
fn a_case_that_came_or_went_is_a_difference() {
    let mut new = log();
    new.results[0].case = "tlb/other".to_owned();
    let verdicts = gate(&baseline(), &new, &Mute::default()).unwrap();
    assert_eq!(verdicts.gone, [log().results[0].case.clone()]);
    assert_eq!(verdicts.unknown, ["tlb/other"]);
    assert!(!verdicts.pass());
}

#[test]
fn what_is_unlike_is_refused() {
    let ticks = read(&good(Clock::Tsc)).unwrap();
    let clock = Some(Clock::Tsc);
    assert_eq!(
        gate(&baseline(), &ticks, &Mute::default()),
        Err(Refusal::Clock { clock })
    );
    let mut full = log();
    full.start.suite = "other".to_owned();
    let refused = gate(&baseline(), &full, &Mute::default()).unwrap_err();
    assert!(refused.to_string().contains("other"), "{refused}");
    let mut failed = log();
    failed.ending = read(&panicked()).unwrap().ending;
    let refused = gate(&baseline(), &failed, &Mute::default());
    assert!(
        matches!(refused, Err(Refusal::Failed { .. })),
        "{refused:?}"
    );
}

#[test]
fn bad_files_are_refused_by_line() {
    let text = baseline().to_string();
    let line = text.lines().count() + 1;
    let twice = format!("{text}{}\n", baseline().cases[0]);
    let name = baseline().cases[0].name.clone();
    assert_eq!(
        twice.parse::<Baseline>(),
        Err(BaselineError::Twice { line, name })
    );
    for bad in [
        "BenchmarkX 1 2 insns",
        "hello",
        "BenchmarkX 1 2 ns 2 min-ns 2 p99-ns 2 max-ns",
    ] {
        let error = format!("{text}{bad}\n").parse::<Baseline>().unwrap_err();
        let expected = BaselineError::Line {
            line,
            text: bad.to_owned(),
        };
        assert_eq!(error, expected);
    }
    assert_eq!(
        "clock: icount".parse::<Baseline>(),
        Err(BaselineError::Empty)
    );
    let no_reason = MuteError::NoReason {
        line: 2,
        name: "tlb/invlpg".to_owned(),
    };
    assert_eq!("\ntlb/invlpg".parse::<Mute>(), Err(no_reason));
}

proptest! {
    #[test]
    fn a_baseline_reads_as_it_was_written(
        cases in prop::collection::btree_map("[a-z]{1,8}(/[a-z=0-9]{1,8}){0,3}x", (any::<u32>(), prop::array::uniform4(0_u64..1 << 50)), 1..20)
    ) {
        let cases = cases.into_iter().map(|(name, (samples, figures))| Case {
            name,
            samples: samples.into(),
            figures: figures.map(Figure::from_thousandths),
        });
        let written = Baseline { cases: cases.collect(), ..baseline() };
        prop_assert_eq!(written.to_string().parse(), Ok(written));
    }
}
