//! Writes down where the CPUs of the run sit: each says it of itself, as a kind of core is known on that core alone.

use core::sync::atomic::Ordering::{Acquire, Release};

use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::per_cpu::PerCpu;
#[cfg(target_os = "none")]
use pagemark::cpu::topology::Distance;
use pagemark::cpu::topology::{Kind, Place, place};
use pagemark::machine::Machine;
use pagemark::mm::shootdown::{CpuId, CpuMask};
use pagemark_record::{CoreKind, Cpu, Record};

/// Where in a CPU's notes its place stands: a word with what is there, and two ids in each of the next.
const FOUND: usize = 0;
const IDS: [usize; 2] = [1, 2];

const THERE: u64 = 1;
const CACHE: u64 = 1 << 1;
const PERFORMANCE: u64 = 1 << 2;
const EFFICIENT: u64 = 1 << 3;

/// Notes the place of the CPU that runs this.
fn note(cpu: CpuId) {
    let notes = PerCpu::of(cpu).notes();
    let Some(place) = place(&ThisCpu) else {
        notes[FOUND].store(0, Release);
        return;
    };
    let ids = [
        [place.apic, place.core],
        [place.cache.unwrap_or(0), place.package],
    ];
    for (at, [high, low]) in IDS.into_iter().zip(ids) {
        notes[at].store(u64::from(high) << 32 | u64::from(low), Release);
    }
    let cache = place.cache.map_or(0, |_| CACHE);
    let kind = match place.kind {
        None => 0,
        Some(Kind::Performance) => PERFORMANCE,
        Some(Kind::Efficient) => EFFICIENT,
    };
    notes[FOUND].store(THERE | cache | kind, Release);
}

/// The place that a CPU has noted.
fn noted(cpu: CpuId) -> Option<Place> {
    let notes = PerCpu::of(cpu).notes();
    let found = notes[FOUND].load(Acquire);
    if found & THERE == 0 {
        return None;
    }
    let [[apic, core], [cache, package]] = IDS.map(|at| {
        let ids = notes[at].load(Acquire);
        [(ids >> 32) as u32, ids as u32]
    });
    Some(Place {
        apic,
        core,
        cache: (found & CACHE != 0).then_some(cache),
        package,
        kind: match found & (PERFORMANCE | EFFICIENT) {
            PERFORMANCE => Some(Kind::Performance),
            EFFICIENT => Some(Kind::Efficient),
            _ => None,
        },
    })
}

/// Has every CPU note its place.
fn note_all(machine: &mut Machine) -> CpuMask {
    note(CpuId::BOOT);
    let others = machine.processors.others().clone();
    machine.processors.online(&others, |online| {
        online.run_on_all(&note, || ());
    });
    others
}

/// Writes a record for each CPU that says where it sits.
pub fn record(machine: &mut Machine) {
    let others = note_all(machine);
    record_one(CpuId::BOOT);
    for cpu in &others {
        record_one(cpu);
    }
}

/// The first CPU at each distance from this one, in the order of [`Distance::ALL`]: of the same kind as this one where there is one.
#[cfg(target_os = "none")]
pub fn nearest(machine: &mut Machine) -> [Option<CpuId>; Distance::ALL.len()] {
    let others = note_all(machine);
    let here = noted(CpuId::BOOT);
    Distance::ALL.map(|distance| {
        let here = here.as_ref()?;
        let there =
            |&cpu: &CpuId| noted(cpu).is_some_and(|at| here.distance(&at) == Some(distance));
        let alike = |&cpu: &CpuId| noted(cpu).is_some_and(|at| at.kind == here.kind);
        let all = || others.into_iter().filter(there);
        all().find(alike).or_else(|| all().next())
    })
}

fn record_one(cpu: CpuId) {
    if let Some(place) = noted(cpu) {
        log::record(&Record::Cpu(Cpu {
            cpu: cpu.number() as u32,
            apic: place.apic,
            core: place.core,
            cache: place.cache,
            package: place.package,
            kind: place.kind.map(|kind| match kind {
                Kind::Performance => CoreKind::Performance,
                Kind::Efficient => CoreKind::Efficient,
            }),
        }));
    }
}
