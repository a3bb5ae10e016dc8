//! What the screen shows of a run.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::{machine, start};
use crate::*;

#[test]
fn what_the_screen_shows_of_a_run() {
    let result = |case| {
        let figure = Figure::from_thousandths(1_228_500);
        CaseResult::of_equal(Text::Plain(case), Unit::Insns, figure, 31, "".into())
    };
    let check = |pass| {
        Record::Check(Check {
            name: "a/b".into(),
            pass,
            detail: "it is gone".into(),
        })
    };
    let long = "x".repeat(200);
    let mut out = String::new();
    for record in [
        start(),
        machine(Clock::Icount, "some CPU".into()),
        Record::Notice(Notice {
            text: "memory map: odd".into(),
        }),
        check(true),
        check(false),
        Record::Result(result("pt/map/pages=512")),
        Record::Result(result(&long)),
        Record::Skip(Skip {
            case: "tlb/x".into(),
            reason: "no x".into(),
        }),
        Record::Frames(Frames {
            at_start: 1,
            at_end: 1,
        }),
        Record::Error(Error {
            message: "bad".into(),
        }),
        Record::Panic(Panic {
            message: "frame freed twice".into(),
            file: "buddy.rs".into(),
            line: 7,
            addresses: [Hex(16), Hex(32)].into_iter().collect(),
        }),
        Record::End(End {
            verdict: Verdict::Fail,
            lines: 0,
            crc32: Hex(0),
        }),
    ] {
        brief::write(&record, &mut out).unwrap();
    }
    let (name, gap) = (&long, " ".repeat(40));
    let expected = [
        "pagemark v1, suite quick",
        "some CPU; CPUs: 4294967295; RAM: 17592186044415 MiB; layout: some CPU; clock: icount",
        "memory map: odd",
        "FAILED a/b: it is gone",
        &format!("pt/map/pages=512{gap} median        1228.5 insns, p99        1228.5"),
        &format!("{name} median        1228.5 insns, p99        1228.5"),
        "tlb/x skipped: no x",
        "error: bad",
        "",
        "panic at buddy.rs:7: frame freed twice",
        " 0x10 0x20",
        "verdict: fail",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
}
