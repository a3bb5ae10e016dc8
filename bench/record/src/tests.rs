//! What is written is what is read, whatever the texts are.
extern crate std;

use core::fmt::Write;
use std::string::{String, ToString};
use std::{format, vec, vec::Vec};

use proptest::prelude::*;

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
            disturbances: Disturbances::default(),
            rounds: Series(&[5.into(), 7.into(), 7.into()]).into(),
        }))
        .unwrap();
        log.end(Verdict::Pass).unwrap();
    });
    assert_eq!(
        log,
        "# before\n\n\
         @pagemark {\"record\":\"start\",\"schema\":2,\"revision\":\"v1\",\"suite\":\"quick\",\"command_line\":\"suite=quick\"}\n\
         # two\n# pieces of text\n\n# @pagemark {}\n# unended\n\
         BenchmarkTlb/invlpg 31 6.25 insns 3 ns 5 min-insns 7 p99-insns 8 max-insns\n\
         @pagemark {\"record\":\"result\",\"case\":\"tlb/invlpg\",\"unit\":\"insns\",\"samples\":31,\"min\":5,\"p25\":6,\
         \"median\":6.25,\"p75\":7,\"p99\":7,\"max\":8,\"interval\":[6,7],\"overhead\":4,\"batch\":32,\"ns\":3,\
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
        brief::tell(&record, &mut out).unwrap();
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

/// Texts of at most 80 characters, so that none is cut.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..80).prop_map(String::from_iter)
}

/// Any bits as a figure that JSON numbers hold to the thousandth.
fn figure(bits: u64) -> Figure {
    Figure::from_thousandths(bits >> 16)
}

/// An area, of another kind for each number.
fn area(n: [u64; 6], number: usize) -> Area {
    let kinds = [AreaKind::Vmalloc, AreaKind::Vmap, AreaKind::Ioremap];
    let memory_types = [
        MemoryType::WriteBack,
        MemoryType::WriteCombining,
        MemoryType::UncacheableMinus,
        MemoryType::Uncacheable,
        MemoryType::WriteProtected,
        MemoryType::WriteThrough,
    ];
    let accesses = [Access::Read, Access::ReadWrite, Access::ReadExecute];
    Area {
        start: Hex(n[0]),
        end: Hex(n[1]),
        pages: n[2],
        kind: kinds[number % 3],
        access: accesses[number % 3],
        memory_type: memory_types[number % 6],
        huge: number.is_multiple_of(2),
        physical: number.is_multiple_of(3).then_some(Hex(n[3])),
    }
}

/// One of each kind, with its texts as they were made.
fn records() -> impl Strategy<Value = Vec<Record<String>>> {
    (
        text(),
        text(),
        any::<[u64; 6]>(),
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(a, b, n, flag, small)| {
            let (s, t) = (|| a.clone(), || b.clone());
            let addresses = n.into_iter().map(Hex).collect();
            let clock = if flag { Clock::Tsc } else { Clock::Emulated };
            vec![
                Record::Machine(Machine {
                    cpu: s(),
                    family: small,
                    model: small,
                    stepping: small,
                    hypervisor: flag.then(t),
                    clock,
                    tsc_hz: flag.then_some(n[0]),
                    tsc_source: t(),
                    invariant_tsc: flag,
                    ticks_per_1000_nops: n[1],
                    ram_bytes: n[2],
                    cpus: small,
                    layout: s(),
                    loader: t(),
                    features: s(),
                }),
                Record::Environment(Environment {
                    class: s(),
                    shift: flag.then_some(small as u8),
                    tags: t(),
                    nops: [n[0], n[1]],
                    quantum: n[2],
                    rdtscp: flag,
                    invariant_tsc: !flag,
                    lfence: s(),
                    frequencies: Frequencies {
                        cpuid_15h: flag.then_some(n[3]),
                        pit: Some(n[4]),
                        ..Frequencies::default()
                    },
                    disagreement_ppm: flag.then_some(n[5]),
                    cycles_per_1000_ticks: flag.then_some(n[0]),
                    core_clock: t(),
                    smi_count: flag.then_some(n[1]),
                    steal_ns: flag.then_some(n[2]),
                    microcode: flag.then_some(Hex(n[3])),
                    fractured: flag.then_some(flag),
                    masked: s(),
                }),
                Record::Region(Region {
                    name: s(),
                    start: Hex(n[0]),
                    end: Hex(n[1]),
                }),
                Record::Zone(Zone {
                    name: t(),
                    start: Hex(n[2]),
                    end: Hex(n[3]),
                    free_frames: n[4],
                }),
                Record::Buddyinfo(Buddyinfo {
                    moment: if flag { Moment::Start } else { Moment::End },
                    zone: t(),
                    blocks: core::array::from_fn(|order| n[order % n.len()]),
                    fragmentation: core::array::from_fn(|order| {
                        (flag || order > 3).then_some(n[order % n.len()])
                    }),
                }),
                Record::Vmallocinfo(Vmallocinfo {
                    moment: Moment::Check,
                    live: n[0],
                    waiting: n[1],
                    lazy_max_pages: n[2],
                    areas: (0..small as usize % (MAX_AREAS + 1))
                        .map(|number| area(n, number))
                        .collect(),
                }),
                Record::Notice(Notice { text: s() }),
                Record::Boot(Boot {
                    ticks: n[5],
                    unit: clock.unit(),
                }),
                Record::Check(Check {
                    name: t(),
                    pass: flag,
                    detail: s(),
                }),
                Record::Result(CaseResult {
                    case: "a/b".to_string(),
                    unit: Unit::Insns,
                    samples: n[0],
                    min: figure(n[1]),
                    p25: figure(n[2]),
                    median: figure(n[3]),
                    p75: figure(n[4]),
                    p99: figure(n[5]),
                    max: figure(n[0]),
                    interval: [figure(n[1]), figure(n[2])],
                    overhead: figure(n[3]),
                    batch: small,
                    ns: flag.then_some(figure(n[4])),
                    cycles: flag.then_some(figure(n[5])),
                    disturbances: Disturbances {
                        smi: small,
                        steal: 1,
                        frequency: 2,
                        unknown: small,
                    },
                    rounds: "1,2*3".to_string(),
                }),
                Record::Skip(Skip {
                    case: s(),
                    reason: t(),
                }),
                Record::Frames(Frames {
                    at_start: n[0],
                    at_end: n[1],
                }),
                Record::Crossover(Crossover {
                    pages: (n[1] % 2 == 0).then_some(n[0]),
                    linux: n[1],
                    ceiling: n[2],
                    largest: n[0],
                }),
                Record::Probe(Probe {
                    ticks_per_1000_nops: n[2],
                }),
                Record::Error(Error { message: t() }),
                Record::Panic(Panic {
                    message: s(),
                    file: t(),
                    line: small,
                    addresses,
                }),
            ]
        })
}

/// The same record as the image would hold it.
fn borrowed(record: &Record<String>) -> Record<Text<'_>> {
    macro_rules! borrow {
        ($kind:ident, $value:expr, { $($text:ident),* }, { $($plain:ident),* }) => {
            Record::$kind($kind {
                $($text: $value.$text.as_str().into(),)*
                $($plain: $value.$plain.clone(),)*
            })
        };
    }
    match record {
        Record::Start(r) => {
            borrow!(Start, r, { revision, suite, command_line }, { schema, text_offset })
        }
        Record::Machine(r) => Record::Machine(Machine {
            cpu: r.cpu.as_str().into(),
            family: r.family,
            model: r.model,
            stepping: r.stepping,
            hypervisor: r.hypervisor.as_deref().map(Text::from),
            clock: r.clock,
            tsc_hz: r.tsc_hz,
            tsc_source: r.tsc_source.as_str().into(),
            invariant_tsc: r.invariant_tsc,
            ticks_per_1000_nops: r.ticks_per_1000_nops,
            ram_bytes: r.ram_bytes,
            cpus: r.cpus,
            layout: r.layout.as_str().into(),
            loader: r.loader.as_str().into(),
            features: r.features.as_str().into(),
        }),
        Record::Environment(r) => borrow!(
            Environment,
            r,
            { class, tags, lfence, core_clock, masked },
            {
                shift, nops, quantum, rdtscp, invariant_tsc, frequencies, disagreement_ppm, cycles_per_1000_ticks, smi_count,
                steal_ns, microcode, fractured
            }
        ),
        Record::Region(r) => borrow!(Region, r, { name }, { start, end }),
        Record::Zone(r) => borrow!(Zone, r, { name }, { start, end, free_frames }),
        Record::Buddyinfo(r) => {
            borrow!(Buddyinfo, r, { zone }, { moment, blocks, fragmentation })
        }
        Record::Vmallocinfo(r) => Record::Vmallocinfo(r.clone()),
        Record::Notice(r) => borrow!(Notice, r, { text }, {}),
        Record::Boot(r) => Record::Boot(r.clone()),
        Record::Check(r) => borrow!(Check, r, { name, detail }, { pass }),
        Record::Result(r) => Record::Result(CaseResult {
            case: r.case.as_str().into(),
            unit: r.unit,
            samples: r.samples,
            min: r.min,
            p25: r.p25,
            median: r.median,
            p75: r.p75,
            p99: r.p99,
            max: r.max,
            interval: r.interval,
            overhead: r.overhead,
            batch: r.batch,
            ns: r.ns,
            cycles: r.cycles,
            disturbances: r.disturbances,
            rounds: r.rounds.as_str().into(),
        }),
        Record::Skip(r) => borrow!(Skip, r, { case, reason }, {}),
        Record::Frames(r) => Record::Frames(r.clone()),
        Record::Crossover(r) => Record::Crossover(*r),
        Record::Probe(r) => Record::Probe(r.clone()),
        Record::Error(r) => borrow!(Error, r, { message }, {}),
        Record::Panic(r) => borrow!(Panic, r, { message, file }, { line, addresses }),
        Record::End(r) => Record::End(r.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn every_record_reads_back_as_it_was_written(records in records()) {
        let log = write(|log| {
            log.record(&start()).unwrap();
            for record in &records {
                log.record(&borrowed(record)).unwrap();
            }
            log.end(Verdict::Pass).unwrap();
        });
        let read: Vec<Record<String>> = jsons(&log).iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        prop_assert_eq!(&read[1..read.len() - 1], &records[..]);
        let (lines, crc32) = sum(&log);
        let end = Record::End(End { verdict: Verdict::Pass, lines, crc32: Hex(crc32.into()) });
        prop_assert_eq!(read.last(), Some(&end));
    }

    #[test]
    fn text_is_never_taken_for_anything_else(pieces in proptest::collection::vec(text(), 0..8), forged in "(@pagemark |Benchmark|unit: |Unit )?.{0,20}") {
        let log = write(|log| {
            log.record(&start()).unwrap();
            for piece in &pieces {
                write!(log, "{piece}\n{forged}\n").unwrap();
            }
            log.end(Verdict::Pass).unwrap();
        });
        prop_assert_eq!(jsons(&log).len(), 2);
        for line in log.split('\n').filter(|line| !line.starts_with(PREFIX) && !line.is_empty()) {
            prop_assert!(line.starts_with("# "), "{}", line);
            prop_assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{:?}", line);
        }
        let end = serde_json::from_str::<Record<String>>(jsons(&log)[1]).unwrap();
        let mut sum = LineSum::new();
        let body = log.strip_prefix('\n').unwrap();
        for line in body[..body.rfind(PREFIX).unwrap()].split_terminator('\n') {
            sum.bytes(line.as_bytes());
            sum.end_line();
        }
        prop_assert_eq!(end, Record::End(End { verdict: Verdict::Pass, lines: sum.lines(), crc32: Hex(sum.crc32().into()) }));
    }

    #[test]
    fn a_formatted_text_is_the_plain_one(pieces in proptest::collection::vec(text(), 3)) {
        let whole = format!("{}{}{}", pieces[0], pieces[1], pieces[2]);
        let formatted = write(|log| log.record(&Record::Notice(Notice { text: format_args!("{}{}{}", pieces[0], pieces[1], pieces[2]).into() })).unwrap());
        let plain = write(|log| log.record(&Record::Notice(Notice { text: whole.as_str().into() })).unwrap());
        prop_assert_eq!(formatted, plain);
    }
}
