//! The wire format, to the byte and at its limits. [`round_trip`]: what is written is what is read, whatever the texts are;
//! [`screen`]: what is shown of a run.

mod any;
mod round_trip;
mod screen;

use core::fmt::Write;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::*;

fn write(writing: impl FnOnce(&mut LogWriter<&mut String>)) -> String {
    let mut out = String::new();
    writing(&mut LogWriter::new(&mut out));
    out
}

fn start<'a>() -> Record<Text<'a>> {
    Record::Start(Start {
        schema: SCHEMA,
        revision: "v1".into(),
        suite: "quick".into(),
        command_line: "suite=quick".into(),
        text_offset: 0,
    })
}

fn machine<'a>(clock: Clock, text: Text<'a>) -> Record<Text<'a>> {
    Record::Machine(Machine {
        cpu: text,
        family: 25,
        model: u32::MAX,
        stepping: u32::MAX,
        hypervisor: Some(text),
        clock,
        tsc_hz: Some(u64::MAX),
        tsc_source: text,
        invariant_tsc: false,
        ticks_per_1000_nops: u64::MAX,
        ram_bytes: u64::MAX,
        cpus: u32::MAX,
        layout: text,
        loader: text,
        features: text,
        identity: Some(text),
        date: None,
    })
}

/// The JSON behind each record's prefix.
fn jsons(log: &str) -> Vec<&str> {
    log.lines()
        .filter_map(|line| line.strip_prefix(PREFIX))
        .collect()
}

/// The sum of a log's lines from `start` to before `end`, taken from the finished text.
fn sum(log: &str) -> (u64, u32) {
    let mut sum = LineSum::new();
    let from_start = log.lines().skip_while(|line| !line.contains("\"start\""));
    for line in from_start.take_while(|line| !line.starts_with("@pagemark {\"record\":\"end\"")) {
        sum.bytes(line.as_bytes());
        sum.end_line();
    }
    (sum.lines(), sum.crc32())
}

#[test]
fn the_crc_is_the_one_that_zip_uses() {
    let mut sum = LineSum::new();
    sum.bytes(b"12345");
    sum.bytes(b"6789");
    assert_eq!(sum.crc32(), 0xcbf4_3926);
    sum.end_line();
    assert_eq!((sum.lines(), sum.crc32()), (1, 0xe0117757));
}

#[test]
fn a_short_log_to_the_byte() {
    let log = write(|log| {
        writeln!(log, "before").unwrap();
        log.record(&start()).unwrap();
        write!(log, "two\npieces ").unwrap();
        write!(log, "of text\r\n\n@pagemark {{}}\nunended").unwrap();
        log.record(&Record::Result(CaseResult {
            case: "tlb/invlpg".into(),
            unit: Unit::Insns,
            class: Some(Class::Throughput),
            resolution: Some(1.into()),
            samples: 31,
            min: 5.into(),
            p25: 6.into(),
            median: Figure::share(25, 4),
            p75: 7.into(),
            p99: 7.into(),
            max: 8.into(),
            interval: [6.into(), 7.into()],
            overhead: 4.into(),
            batch: 32,
            ns: Some(3.into()),
            cycles: None,
            counts: Counts::default(),
            disturbances: Disturbances::default(),
            rounds: Series(&[5.into(), 7.into(), 7.into()]).into(),
        }))
        .unwrap();
        log.end(Verdict::Pass).unwrap();
    });
    assert_eq!(
        log,
        "# before\n\n\
         @pagemark {\"record\":\"start\",\"schema\":3,\"revision\":\"v1\",\"suite\":\"quick\",\"command_line\":\"suite=quick\"}\n\
         # two\n# pieces of text\n\n# @pagemark {}\n# unended\n\
         BenchmarkTlb/invlpg 31 6.25 insns 3 ns 5 min-insns 7 p99-insns 8 max-insns\n\
         @pagemark {\"record\":\"result\",\"case\":\"tlb/invlpg\",\"unit\":\"insns\",\"class\":\"throughput\",\"resolution\":1,\
         \"samples\":31,\"min\":5,\"p25\":6,\"median\":6.25,\"p75\":7,\"p99\":7,\"max\":8,\"interval\":[6,7],\"overhead\":4,\"batch\":32,\"ns\":3,\
         \"rounds\":\"5,7*2\"}\n\
         @pagemark {\"record\":\"end\",\"verdict\":\"pass\",\"lines\":8,\"crc32\":\"CRC\"}\n"
            .replace("CRC", &Hex(sum(&log).1.into()).to_string())
    );
    assert_eq!(sum(&log).0, 8);
}

#[test]
fn the_end_states_what_was_written_whatever_it_is_given() {
    let log = write(|log| {
        log.record(&start()).unwrap();
        log.record(&Record::End(End {
            verdict: Verdict::Fail,
            lines: 99,
            crc32: Hex(99),
        }))
        .unwrap();
        writeln!(log, "powering off").unwrap();
    });
    let end = serde_json::from_str::<Record<String>>(jsons(&log)[1]).unwrap();
    let (lines, crc32) = sum(&log);
    assert_eq!(
        end,
        Record::End(End {
            verdict: Verdict::Fail,
            lines,
            crc32: Hex(crc32.into())
        })
    );
}

/// benchstat: a result has an even number of fields, at least four; a key has no capital and no space; `Unit` lines are
/// `key=value`.
#[test]
fn benchstat_accepts_the_lines_that_are_meant_for_it() {
    let log = write(|log| {
        log.record(&start()).unwrap();
        log.record(&machine(Clock::Icount, "An odd\nCPU".into()))
            .unwrap();
    });
    let lines: Vec<_> = log
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(PREFIX))
        .collect();
    assert_eq!(
        lines[..4],
        [
            "cpu: An odd?CPU",
            "hypervisor: An odd?CPU",
            "clock: icount",
            "layout: An odd?CPU"
        ]
    );
    assert_eq!(lines[4], "Unit insns assume=exact better=lower");
    assert_eq!(lines.len(), 8);
}

#[test]
fn the_longest_records_fit_and_their_texts_are_cut_and_marked() {
    let addresses: arrayvec::ArrayVec<_, MAX_ADDRESSES> = [Hex(u64::MAX); MAX_ADDRESSES].into();
    for letter in ["x", "\"", "\u{1}", "é", "🦀", "\n", "\u{7f}"] {
        let text = letter.repeat(2000);
        let text = Text::from(text.as_str());
        let log = write(|log| {
            log.record(&start()).unwrap();
            log.record(&machine(Clock::Tsc, text)).unwrap();
            let panic = Panic {
                message: text,
                file: text,
                line: u32::MAX,
                addresses: addresses.clone(),
            };
            log.record(&Record::Panic(panic)).unwrap();
        });
        let Record::Panic(panic) = serde_json::from_str::<Record<String>>(jsons(&log)[2]).unwrap()
        else {
            panic!()
        };
        assert_eq!(panic.addresses.len(), MAX_ADDRESSES);
        let kept = panic.message.strip_suffix('…').unwrap();
        assert!(
            kept.len() >= MAX_TEXT / 6 - 3 && kept.len() <= MAX_TEXT,
            "{} bytes of {letter:?}",
            kept.len()
        );
        assert_eq!(kept, letter.repeat(kept.chars().count()));
    }
}

#[test]
fn case_names() {
    for good in [
        "a",
        "tlb/invlpg",
        "page-table/map/pages=512",
        "x-1/y",
        "vmalloc/4KiB",
        "a9",
        "order-9a",
    ] {
        assert!(is_case_name(good), "{good}");
    }
    for bad in ["", "9", "/a", "a b", "a\n", "é", "map-512", "a/b-0", "-1"] {
        assert!(!is_case_name(bad), "{bad}");
    }
}

#[test]
fn exit_codes_survive_the_way_through_qemu() {
    for code in ExitCode::ALL {
        assert_eq!(ExitCode::from_qemu_status(code.qemu_status()), Some(code));
    }
    assert_eq!(ExitCode::ALL.map(ExitCode::qemu_status), [33, 35, 37, 39]);
    // QEMU's own failure, its success, a status that a shell gives to a signal.
    for foreign in [0, 1, 34, 124, 137, -1] {
        assert_eq!(ExitCode::from_qemu_status(foreign), None);
    }
}

#[test]
fn as_many_areas_as_there_may_be_fit_their_record() {
    let area = Area {
        start: Hex(u64::MAX),
        end: Hex(u64::MAX),
        pages: u64::MAX,
        kind: AreaKind::Vmalloc,
        access: Access::ReadExecute,
        memory_type: MemoryType::UncacheableMinus,
        huge: true,
        physical: Some(Hex(u64::MAX)),
    };
    let info = Vmallocinfo {
        moment: Moment::Check,
        live: u64::MAX,
        waiting: u64::MAX,
        lazy_max_pages: u64::MAX,
        areas: [area; MAX_AREAS].into(),
    };
    assert_eq!(info.more(), u64::MAX - MAX_AREAS as u64);
    let log = write(|log| log.record(&Record::Vmallocinfo(info.clone())).unwrap());
    let read: Record<String> = serde_json::from_str(jsons(&log)[0]).unwrap();
    assert_eq!(read, Record::Vmallocinfo(info));
}

#[test]
fn hex_words_that_are_none_are_refused() {
    for bad in [
        "\"10\"",
        "\"0x\"",
        "\"0xg\"",
        "\"0x+1\"",
        "\"0x10000000000000000\"",
        "16",
    ] {
        assert!(serde_json::from_str::<Hex>(bad).is_err(), "{bad}");
    }
    assert_eq!(serde_json::from_str::<Hex>("\"0xFf\"").unwrap(), Hex(255));
}
