//! Logs that are whole, and damaged in every way.

use pagemark_record::{Check, Clock, Error, Frames, LogWriter, Record, Skip, Text, Verdict};
use proptest::prelude::*;

use super::sample::{good, machine, panicked, result, run, start, written};
use super::{Ending, Fault, read};

fn fault(log: &[u8]) -> (usize, Fault) {
    let error = read(log).unwrap_err();
    (error.line, error.fault)
}

fn replaced(log: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(log.to_vec()).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

/// Which line of `log` holds `text`, counted from 1.
fn line_of(log: &[u8], text: &str) -> usize {
    let log = String::from_utf8(log.to_vec()).unwrap();
    log.split('\n')
        .position(|line| line.contains(text))
        .unwrap()
        + 1
}

#[test]
fn a_whole_log() {
    let log = read(&good(Clock::Icount)).unwrap();
    assert_eq!(
        (
            log.results.len(),
            log.checks.len(),
            log.skips.len(),
            log.zones.len()
        ),
        (5, 5, 1, 2)
    );
    assert_eq!(log.results[3].case, "page-table/map/pages=512");
    assert_eq!(log.notices.len(), 1);
    assert!(matches!(log.ending, Ending::End(_)));
}

#[test]
fn what_the_wire_adds_is_taken_off() {
    let plain = good(Clock::Tsc);
    let want = read(&plain).unwrap();
    let text = String::from_utf8(plain).unwrap();
    let crlf = text.replace('\n', "\r\n");
    let crcrlf = text.replace('\n', "\r\r\n");
    let nul = text.replace("@page", "\0@pa\0ge");
    let escapes = text.replace("\n@pagemark ", "\n\x1b[0m\x1b[37;40m@pagemark ");
    // The image's own tabs stay: they are summed up.
    let with_tab = text.replace("# that was\t", "\x1b[0m# that\x1b[1m was\t");
    let surrounded = format!("\x1b]0;title\x07junk \u{fffd}\n{text}\nSystem halted\n@pagemar");
    for variant in [crlf, crcrlf, nul, escapes, with_tab, surrounded] {
        assert_eq!(read(variant.as_bytes()).unwrap(), want);
    }
    let garbage = [&[0xff, 0xfe, b'\n'][..], text.as_bytes()].concat();
    assert_eq!(read(&garbage).unwrap(), want);
}

#[test]
fn a_panic_closes_a_log() {
    let log = read(&panicked()).unwrap();
    let Ending::Panic(panic) = &log.ending else {
        panic!()
    };
    assert_eq!(
        (panic.line, panic.addresses.len(), log.results.len()),
        (7, 2, 5)
    );
}

/// The last words break off what was being written. That must not hide them; nor is it passed over anywhere else.
#[test]
fn a_panic_inside_a_record_is_reported() {
    let text = String::from_utf8(panicked()).unwrap();
    let broken = text.replace(
        "@pagemark {\"record\":\"panic\"",
        "@pagemark {\"record\":\"chec\n@pagemark {\"record\":\"panic\"",
    );
    let log = read(broken.as_bytes()).unwrap();
    assert!(matches!(log.ending, Ending::Panic(_)));
    let at = line_of(broken.as_bytes(), "\"record\":\"panic\"") - 1;
    for next in ["\n", "@pagemark {\"record\":\"\n"] {
        let split = broken.find("@pagemark {\"record\":\"panic\"").unwrap();
        let between = [&broken[..split], next, &broken[split..]].concat();
        assert!(matches!(fault(between.as_bytes()), (line, Fault::Malformed(_)) if line == at));
        assert!(
            matches!(fault(&broken.as_bytes()[..split]), (line, Fault::Malformed(_)) if line == at)
        );
    }
}

#[test]
fn nothing_and_foreign_text_are_no_logs() {
    assert!(matches!(fault(b""), (1, Fault::NoStart)));
    assert!(matches!(
        fault(b"Linux version 6.1\nbooting"),
        (2, Fault::NoStart)
    ));
}

#[test]
fn damage_is_reported_with_its_line() {
    let log = good(Clock::Icount);
    let end = line_of(&log, "\"record\":\"end\"");

    let changed = replaced(&log, "# that was", "# That was");
    assert!(matches!(fault(&changed), (line, Fault::Crc { .. }) if line == end));

    let at = line_of(&log, "that was");
    let mut lines: Vec<_> = log.split(|&byte| byte == b'\n').collect();
    lines.remove(at - 1);
    let shorter = lines.join(&b'\n');
    assert!(
        matches!(fault(&shorter), (line, Fault::LineCount { stated, found }) if line == end - 1 && stated == found + 1)
    );

    let broken = replaced(&log, "\"samples\":1001", "\"samples\":-1001");
    assert!(
        matches!(fault(&broken), (line, Fault::Malformed(_)) if line == line_of(&log, "\"record\":\"result\""))
    );

    let unknown = replaced(&log, "\"record\":\"boot\"", "\"record\":\"toot\"");
    assert!(
        matches!(fault(&unknown), (line, Fault::Malformed(_)) if line == line_of(&log, "\"record\":\"boot\""))
    );

    for other in [1, 4] {
        let log_of_other = replaced(&log, "\"schema\":3", &format!("\"schema\":{other}"));
        assert!(
            matches!(fault(&log_of_other), (line, Fault::Schema { found }) if found == other && line == line_of(&log, "\"record\":\"start\""))
        );
    }
}

#[test]
fn two_logs_in_one_are_not_taken_for_one() {
    let log = good(Clock::Icount);
    let (first, lines) = (
        line_of(&log, "\"record\":\"start\""),
        line_of(&log, "\"record\":\"end\""),
    );
    let twice = [&log[..], &log].concat();
    assert!(
        matches!(fault(&twice), (line, Fault::SecondStart { first: at }) if at == first && line == lines + first)
    );

    let text = String::from_utf8(log.clone()).unwrap();
    let headless = &text[text.find("@pagemark {\"record\":\"machine\"").unwrap()..];
    assert!(matches!(
        fault(headless.as_bytes()),
        (1, Fault::BeforeStart("machine"))
    ));

    let into_another = [&text[..text.rfind("@pagemark").unwrap()], &text].concat();
    assert!(
        matches!(fault(into_another.as_bytes()), (_, Fault::SecondStart { first: at }) if at == first)
    );

    let after = [&text, headless].concat();
    assert!(
        matches!(fault(after.as_bytes()), (line, Fault::AfterEnd("machine")) if line == lines + 1)
    );
}

#[test]
fn records_that_contradict_each_other() {
    let clock = Clock::Icount;
    let closed = |writing: &dyn Fn(&mut LogWriter<String>)| {
        written(|log| {
            run(log, clock);
            writing(log);
            log.end(Verdict::Pass).unwrap();
        })
    };
    let put = |record: Record<Text<'_>>| {
        fault(&closed(&|log| log.record(&record).unwrap()))
            .1
            .to_string()
    };
    assert_eq!(
        put(result("tlb/invlpg", clock, [1; 4])),
        "a second result of the case tlb/invlpg"
    );
    assert_eq!(
        put(Record::Skip(Skip {
            case: "tlb/invpcid".into(),
            reason: "".into()
        })),
        "a second result of the case tlb/invpcid"
    );
    assert_eq!(
        put(Record::Machine(machine(clock))),
        "a second record `machine`"
    );
    assert_eq!(
        put(result("a", Clock::Tsc, [1; 4])),
        "a is in ticks, the machine's clock is icount"
    );
    assert_eq!(
        put(result("a b", clock, [1; 4])),
        "\"a b\" cannot be the name of a case"
    );
    assert_eq!(
        put(result("a", clock, [1, 3, 2, 4])),
        "a: 1001 samples with min 1, median 3, p99 2, max 4"
    );
    assert_eq!(
        put(Record::Check(Check {
            name: "w^x".into(),
            pass: false,
            detail: "text is writable".into()
        })),
        "the verdict is pass, but the check w^x failed"
    );
    assert_eq!(
        put(Record::Error(Error {
            message: "no such suite".into()
        })),
        "the verdict is pass, but there is an error: no such suite"
    );
    let lost = written(|log| {
        log.record(&start("quick")).unwrap();
        log.record(&Record::Frames(Frames {
            at_start: 9,
            at_end: 8,
        }))
        .unwrap();
        log.end(Verdict::Pass).unwrap();
    });
    assert_eq!(
        fault(&lost).1.to_string(),
        "the verdict is pass, but of 9 free frames 8 came back"
    );
    let early = written(|log| {
        log.record(&start("quick")).unwrap();
        log.record(&result("a", clock, [1; 4])).unwrap();
        log.end(Verdict::Pass).unwrap();
    });
    assert_eq!(
        fault(&early).1.to_string(),
        "a result of a before the machine is known"
    );
}

#[test]
fn a_failed_run_may_say_so() {
    let log = written(|log| {
        run(log, Clock::Icount);
        log.record(&Record::Check(Check {
            name: "w^x".into(),
            pass: false,
            detail: "".into(),
        }))
        .unwrap();
        log.end(Verdict::Fail).unwrap();
    });
    assert_eq!(read(&log).unwrap().checks.len(), 6);
}

/// Cut at every byte, a log is whole only when nothing but its last line feed or what follows the end is missing.
#[test]
fn a_cut_log_is_never_taken_for_a_whole_one() {
    for (log, last) in [
        (good(Clock::Icount), "\"record\":\"end\""),
        (panicked(), "\"record\":\"panic\""),
    ] {
        let whole = read(&log).unwrap();
        let text = String::from_utf8(log.clone()).unwrap();
        let closing = text.find(last).unwrap();
        let complete = closing + text[closing..].find('\n').unwrap();
        let step = if cfg!(miri) { 997 } else { 1 };
        for cut in (0..log.len()).step_by(step) {
            match read(&log[..cut]) {
                Ok(read) => assert!(
                    cut >= complete && read == whole,
                    "cut at {cut} of {}",
                    log.len()
                ),
                Err(error) => {
                    assert!(cut < complete, "cut at {cut}: {error}");
                    assert!(
                        matches!(error.fault, Fault::NoStart | Fault::NoEnd),
                        "cut at {cut}: {error}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Changed bytes are noticed, or they were outside the run, or the wire could have added them.
    #[test]
    fn a_mutated_log_is_refused_or_says_the_same(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let log = good(Clock::Icount);
        let whole = read(&log).unwrap();
        let mut mutated = log.clone();
        for (at, byte) in changes {
            let at = at.index(mutated.len());
            mutated[at] = byte;
        }
        if let Ok(read) = read(&mutated) {
            prop_assert_eq!(read, whole);
        }
    }

    #[test]
    fn pieces_of_logs_in_any_order_are_read_without_a_panic(pieces in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6), noise in proptest::collection::vec(any::<u8>(), 0..64)) {
        let log = good(Clock::Tsc);
        let mut mixed = noise;
        for (from, to) in pieces {
            let (from, to) = (from.index(log.len()), to.index(log.len()));
            mixed.extend_from_slice(&log[from.min(to)..from.max(to)]);
        }
        // Whole only when by chance all of the log is in it in order, which these few pieces cannot make.
        prop_assert!(read(&mixed).is_err());
    }
}
