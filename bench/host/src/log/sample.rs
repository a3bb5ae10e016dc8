//! Logs as the image writes them, for tests.

use std::fmt::Write;

use pagemark_record::{
    Access, Area, AreaKind, Boot, Buddyinfo, CaseResult, Check, Clock, Frames, Hex, LogWriter,
    Machine, MemoryType, Moment, Notice, ORDERS, Panic, Record, SCHEMA, Skip, Start, Text, Verdict,
    Vmallocinfo, Zone,
};

/// Writes a log as the image does, behind some chatter of firmware.
pub(crate) fn written(writing: impl FnOnce(&mut LogWriter<String>)) -> Vec<u8> {
    let mut log = LogWriter::new(String::from(
        "SeaBIOS\r\n\x1b[2J\x1b[01;01HBooting from ROM..",
    ));
    writing(&mut log);
    std::mem::take(log.out()).into_bytes()
}

pub(crate) fn start<'a>(suite: &'a str) -> Record<Text<'a>> {
    Record::Start(Start {
        schema: SCHEMA,
        revision: "v0.1.0-12-g0123abc".into(),
        suite: suite.into(),
        command_line: "suite=quick".into(),
        text_offset: 0,
    })
}

pub(crate) fn machine<'a>(clock: Clock) -> Machine<Text<'a>> {
    Machine {
        cpu: "QEMU TCG CPU version 2.5+".into(),
        family: 15,
        model: 107,
        stepping: 1,
        hypervisor: Some("TCGTCGTCGTCG".into()),
        clock,
        tsc_hz: Some(1_000_000_000),
        tsc_source: "PIT".into(),
        invariant_tsc: false,
        ticks_per_1000_nops: 1000,
        ram_bytes: 1 << 30,
        cpus: 1,
        layout: "wide".into(),
        loader: "pvh".into(),
        features: "nx pge pdpe1gb la57".into(),
        identity: None,
        date: None,
    }
}

pub(crate) fn result<'a>(case: &'a str, unit: Clock, figures: [u64; 4]) -> Record<Text<'a>> {
    let [min, median, p99, max] = figures;
    Record::Result(CaseResult {
        min: min.into(),
        p99: p99.into(),
        max: max.into(),
        overhead: 5.into(),
        ..CaseResult::of_equal(case.into(), unit.unit(), median.into(), 1001, "1*31".into())
    })
}

/// A run of a few cases that went well, but for what `verdict` says.
pub(crate) fn run(log: &mut LogWriter<String>, clock: Clock) {
    let mut put = |record: Record<Text<'_>>| log.record(&record).unwrap();
    put(start("quick"));
    put(Record::Machine(machine(clock)));
    let zone = |name, start, end, free_frames| {
        Record::Zone(Zone {
            name: Text::Plain(name),
            start: Hex(start),
            end: Hex(end),
            free_frames,
        })
    };
    put(zone("DMA", 0, 1 << 24, 3_839));
    put(zone("DMA32", 1 << 24, 1 << 30, 257_022));
    let text = "memory map: the line 0x9fc00..0xa0000 was cut to whole frames".into();
    put(Record::Notice(Notice { text }));
    put(Record::Boot(Boot {
        ticks: 4_321_987,
        unit: clock.unit(),
    }));
    for (case, figures) in [
        ("control/empty", [0, 0, 0, 0]),
        ("control/nops=1000", [1000, 1000, 1000, 1000]),
        ("tlb/invlpg", [1, 1, 1, 1]),
        (
            "page-table/map/pages=512",
            [21_500, 21_504, 21_733, 1_234_567],
        ),
        (
            "vmalloc/alloc/size=16MiB",
            [9_876_543, 9_876_543, 9_876_543, 9_876_543],
        ),
    ] {
        put(Record::Check(Check {
            name: case.into(),
            pass: true,
            detail: "".into(),
        }));
        put(result(case, clock, figures));
    }
    put(Record::Skip(Skip {
        case: "tlb/invpcid".into(),
        reason: "the CPU has no INVPCID (CPUID 7, EBX bit 10)".into(),
    }));
    let info = |moment, zone, blocks, fragmentation| {
        Record::Buddyinfo(Buddyinfo {
            moment,
            zone: Text::Plain(zone),
            blocks,
            fragmentation,
        })
    };
    for moment in [Moment::Start, Moment::End] {
        let blocks = [1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 3];
        put(info(moment, "DMA", blocks, [None; ORDERS]));
    }
    let blocks = [257_022, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut indices = [None; ORDERS];
    for (order, index) in indices.iter_mut().enumerate().skip(1) {
        *index = Some(1000 - (1 << (10 - order)));
    }
    put(info(Moment::End, "DMA32", blocks, indices));
    put(areas(Moment::Start, &[]));
    let first = Area {
        start: Hex(0xffff_c900_0000_0000),
        end: Hex(0xffff_c900_0001_1000),
        pages: 16,
        kind: AreaKind::Vmalloc,
        access: Access::ReadWrite,
        memory_type: MemoryType::WriteBack,
        huge: false,
        physical: None,
    };
    let huge = Area {
        start: Hex(0xffff_c900_0020_0000),
        end: Hex(0xffff_c900_0040_1000),
        pages: 512,
        huge: true,
        ..first
    };
    let device = Area {
        start: Hex(0xffff_c900_0040_1000),
        end: Hex(0xffff_c900_0070_2000),
        pages: 768,
        kind: AreaKind::Ioremap,
        memory_type: MemoryType::WriteCombining,
        physical: Some(Hex(0xfd00_0000)),
        ..first
    };
    put(areas(Moment::End, &[first, huge, device]));
    put(Record::Frames(Frames {
        at_start: 260_861,
        at_end: 260_861,
    }));
    writeln!(log, "that was\tall").unwrap();
}

/// Areas, of which there are two more than are listed, and one that waits.
fn areas<'a>(moment: Moment, areas: &[Area]) -> Record<Text<'a>> {
    let some = u64::from(!areas.is_empty());
    Record::Vmallocinfo(Vmallocinfo {
        moment,
        live: areas.len() as u64 + 2 * some,
        waiting: some,
        lazy_max_pages: 8192,
        areas: areas.iter().copied().collect(),
    })
}

/// A whole log with the verdict pass.
pub(crate) fn good(clock: Clock) -> Vec<u8> {
    written(|log| {
        run(log, clock);
        log.end(Verdict::Pass).unwrap();
    })
}

pub(crate) fn panicked() -> Vec<u8> {
    written(|log| {
        run(log, Clock::Icount);
        let addresses = [Hex(0xffff_ffff_c010_1234), Hex(0xffff_ffff_c010_0042)]
            .into_iter()
            .collect();
        let panic = Panic {
            message: "frame 0x1234 freed twice".into(),
            file: "src/mm/frame/buddy.rs".into(),
            line: 7,
            addresses,
        };
        log.record(&Record::Panic(panic)).unwrap();
        writeln!(log, "halting").unwrap();
    })
}
