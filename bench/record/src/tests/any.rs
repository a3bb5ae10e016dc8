//! Records of every kind, with any texts and numbers.

use std::string::{String, ToString};
use std::{vec, vec::Vec};

use proptest::prelude::*;

use crate::*;

/// Texts of at most 80 characters, so that none is cut.
pub(super) fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..80).prop_map(String::from_iter)
}

/// Any bits as a figure that JSON numbers hold to the thousandth.
fn figure(bits: u64) -> Figure {
    Figure::from_thousandths(bits.cast_signed() >> 16)
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
pub(super) fn records() -> impl Strategy<Value = Vec<Record<String>>> {
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
                    identity: flag.then(t),
                    date: flag.then(s),
                }),
                Record::Environment(Environment {
                    class: s(),
                    shift: flag.then_some(small as u8),
                    tags: t(),
                    nops: [n[0], n[1]],
                    additions: flag.then_some([n[1], n[2]]),
                    cpuid: flag.then_some([n[2], n[3]]),
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
                    not_write_back: flag.then_some(n[4]),
                    fractured: flag.then_some(flag),
                    cold: flag.then(t),
                    frequency: flag.then(s),
                    counters: flag.then(s),
                    kernel: flag.then(t),
                    masked: s(),
                }),
                Record::Tag(Tag {
                    tag: s(),
                    reason: t(),
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
                    class: flag.then_some(Class::Throughput),
                    resolution: flag.then_some(figure(n[2])),
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
                    counts: Counts {
                        instructions: flag.then_some(figure(n[0])),
                        walks: (!flag).then_some(figure(n[1])),
                        ..Counts::default()
                    },
                    disturbances: Disturbances {
                        smi: small,
                        steal: 1,
                        frequency: 2,
                        unknown: small,
                        preempted: u32::from(flag),
                        migrated: 0,
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
                Record::Cpu(Cpu {
                    cpu: small,
                    apic: small,
                    core: small,
                    cache: flag.then_some(small),
                    package: small,
                    kind: flag.then_some(CoreKind::Efficient),
                }),
                Record::Advice(Advice {
                    translations: Translations::User,
                    advice: AdviceKind::Depends,
                    pages: flag.then_some(n[3]),
                    linux: n[1],
                }),
                Record::Crossover(Crossover {
                    translations: flag.then_some(Translations::Kernel),
                    working_set: flag.then_some(n[3]),
                    low: flag.then_some(n[4]),
                    high: (!flag).then_some(n[5]),
                    pages: (n[1] % 2 == 0).then_some(n[0]),
                    linux: n[1],
                    ceiling: n[2],
                    largest: n[0],
                }),
                Record::Probe(Probe {
                    ticks_per_1000_nops: n[2],
                    ticks_per_1000_additions: flag.then_some(n[0]),
                    ticks_per_cpuid: flag.then_some(n[1]),
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
pub(super) fn borrowed(record: &Record<String>) -> Record<Text<'_>> {
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
            identity: r.identity.as_deref().map(Text::from),
            date: r.date.as_deref().map(Text::from),
        }),
        Record::Environment(r) => Record::Environment(Environment {
            class: r.class.as_str().into(),
            tags: r.tags.as_str().into(),
            lfence: r.lfence.as_str().into(),
            core_clock: r.core_clock.as_str().into(),
            masked: r.masked.as_str().into(),
            kernel: r.kernel.as_deref().map(Text::from),
            shift: r.shift,
            nops: r.nops,
            additions: r.additions,
            cpuid: r.cpuid,
            quantum: r.quantum,
            rdtscp: r.rdtscp,
            invariant_tsc: r.invariant_tsc,
            frequencies: r.frequencies,
            disagreement_ppm: r.disagreement_ppm,
            cycles_per_1000_ticks: r.cycles_per_1000_ticks,
            smi_count: r.smi_count,
            steal_ns: r.steal_ns,
            microcode: r.microcode,
            not_write_back: r.not_write_back,
            fractured: r.fractured,
            cold: r.cold.as_deref().map(Text::from),
            frequency: r.frequency.as_deref().map(Text::from),
            counters: r.counters.as_deref().map(Text::from),
        }),
        Record::Tag(r) => borrow!(Tag, r, { tag, reason }, {}),
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
            class: r.class,
            resolution: r.resolution,
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
            counts: r.counts,
            disturbances: r.disturbances,
            rounds: r.rounds.as_str().into(),
        }),
        Record::Skip(r) => borrow!(Skip, r, { case, reason }, {}),
        Record::Frames(r) => Record::Frames(r.clone()),
        Record::Crossover(r) => Record::Crossover(*r),
        Record::Advice(r) => Record::Advice(*r),
        Record::Cpu(r) => Record::Cpu(*r),
        Record::Probe(r) => Record::Probe(r.clone()),
        Record::Error(r) => borrow!(Error, r, { message }, {}),
        Record::Panic(r) => borrow!(Panic, r, { message, file }, { line, addresses }),
        Record::End(r) => Record::End(r.clone()),
    }
}
