//! The frequency of the time-stamp counter, by every source that this machine has.

use core::hint::spin_loop;

use pagemark::cpu::reference_timers::{Hpet, Pit, PmTimer, ReferenceTimer};
use pagemark::cpu::tsc;
use pagemark::machine::Machine;
use pagemark::mm::vmalloc::Caching;
use pagemark_verdict::{Class, Cpuid15, Frequencies, Source, Stamp, cpuid_15h, hertz};
use raw_cpuid::cpuid;

/// Parts of a second that are counted: on hardware 10 ms, else 1 ms, as an emulator's instructions are slow.
const PARTS_HARDWARE: u64 = 100;
const PARTS_EMULATED: u64 = 1000;
/// Readings of a timer, the one that took the least time counts: an SMI strikes few of them.
const TRIES: u32 = 5;
/// Reads after which a timer counts as dead.
const PATIENCE: u32 = 10_000_000;

/// Asks every source. Of a clock whose ticks mean nothing only what costs nothing.
pub(super) fn measure(machine: &mut Machine, class: Class) -> Frequencies {
    let mut frequencies = Frequencies::default();
    let base_megahertz = leaf_16h();
    frequencies.note(Source::Cpuid15, leaf_15h(machine, base_megahertz));
    frequencies.note(Source::Cpuid16, Some(u64::from(base_megahertz) * 1_000_000));
    frequencies.note(Source::Hypervisor, hypervisor_leaf(machine));
    if class == Class::EmulatingKvm {
        // Each read of a timer takes tens of thousands of interpreted instructions.
        return frequencies;
    }
    let parts = if class.is_hardware() {
        PARTS_HARDWARE
    } else {
        PARTS_EMULATED
    };
    frequencies.note(Source::Hpet, against_hpet(machine, parts));
    if let Some(port) = machine.firmware.pm_timer {
        frequencies.note(Source::PmTimer, count(&PmTimer::new(port), parts));
    }
    let pit = Pit::start();
    frequencies.note(Source::Pit, count(&pit, parts));
    pit.stop();
    frequencies
}

fn max_leaf() -> u32 {
    cpuid!(0).eax
}

fn leaf_15h(machine: &Machine, base_megahertz: u32) -> Option<u64> {
    if max_leaf() < 0x15 {
        return None;
    }
    let leaf = cpuid!(0x15);
    let features = &machine.features;
    let intel = features.vendor.as_str() == "GenuineIntel" && features.family == 6;
    cpuid_15h(Cpuid15 {
        denominator: leaf.eax,
        numerator: leaf.ebx,
        crystal: leaf.ecx,
        family_6_model: intel.then_some(features.model),
        base_megahertz,
    })
}

/// The base frequency in MHz, 0 for none.
fn leaf_16h() -> u32 {
    if max_leaf() < 0x16 {
        0
    } else {
        cpuid!(0x16).eax & 0xffff
    }
}

/// Leaf 4000_0010H EAX: the TSC in kHz, where the hypervisor has that leaf.
fn hypervisor_leaf(machine: &Machine) -> Option<u64> {
    machine.features.hypervisor.as_ref()?;
    let leaf = 0x4000_0010;
    let last = cpuid!(0x4000_0000).eax;
    (0x4000_0010..0x4001_0000)
        .contains(&last)
        .then(|| u64::from(cpuid!(leaf).eax) * 1000)
}

fn against_hpet(machine: &mut Machine, parts: u64) -> Option<u64> {
    let physical = machine.firmware.hpet?;
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    let area = vmalloc
        .ioremap(physical, Hpet::BYTES, Caching::Uncached, kernel)
        .ok()?;
    // SAFETY: the registers are mapped until the area is freed below, and nobody else uses the timer.
    let hpet = unsafe { Hpet::start(area.address()) };
    let hertz = hpet.and_then(|hpet| {
        let hertz = count(&hpet, parts);
        hpet.stop();
        hertz
    });
    // What cannot be unmapped stays, and the areas that are left over at the end tell of it.
    let _ = vmalloc.iounmap(area, kernel);
    hertz
}

/// Counts the TSC against a timer for a part of a second.
fn count(timer: &impl ReferenceTimer, parts: u64) -> Option<u64> {
    let window = timer.hertz() / parts;
    let begin = stamp(timer);
    for _ in 0..PATIENCE {
        if timer.read().wrapping_sub(begin.timer) & timer.mask() >= window {
            return hertz(begin, stamp(timer), timer.hertz(), timer.mask());
        }
        spin_loop();
    }
    None
}

/// A reading of the timer, the most certain of a few.
fn stamp(timer: &impl ReferenceTimer) -> Stamp {
    let read = || {
        let before = tsc::read();
        let timer = timer.read();
        Stamp {
            before,
            after: tsc::read(),
            timer,
        }
    };
    (1..TRIES).fold(read(), |best, _| {
        let next = read();
        if next.uncertainty() < best.uncertainty() {
            next
        } else {
            best
        }
    })
}
