//! What the figures of this machine are worth, found out once, before any is taken.
//!
//! Here the readings are taken and told; what follows from them is concluded in `pagemark_verdict`, where the host tests it.

mod core_clock;
mod fracture;
mod frequencies;
mod mask;
mod microcode;
mod steal;
mod witness;

use pagemark::console::log;
use pagemark::cpu::features::Features;
use pagemark::cpu::probe::{read_msr, write_msr};
use pagemark::machine::Machine;
use pagemark_record::{Frequencies as Told, Hex, Record};
use pagemark_verdict::{
    Class, Facts, Frequencies, Lfence, Source, Spread, disagreement_ppm, lfence, quantum, tags,
};
use raw_cpuid::cpuid;

use self::core_clock::CoreClock;
pub use self::witness::Witness;

/// Brackets around NOPs, of each length. Enough to see a clock that is exact, and its step.
const READINGS: usize = 101;
/// So many where each NOP is interpreted: more would take seconds.
const READINGS_EMULATED: usize = 5;
/// Ticks of 1,000 NOPs from which on they are interpreted.
const EMULATED: u64 = 10_000;

/// Takes every reading, and writes down what it comes to. What could interrupt is masked from here on. Comes back with the
/// counters that see what strikes a sample.
pub fn find_out(machine: &mut Machine) -> Witness {
    let masked = mask::sources(machine);
    let smi_before = smi_count(&machine.features);
    let steal = steal::StealTime::enable(machine);
    let steal_before = steal.as_ref().map_or(0, |steal| steal.nanoseconds());

    let (class, nops, step) = nops(machine.features.hypervisor.as_deref());
    let frequencies = frequencies::measure(machine, class);
    let lfence = lfence_state(&machine.features);
    let core_clock = CoreClock::find(&machine.features);
    let cycles_per_1000_ticks = core_clock.cycles_per_1000_ticks();
    let fractured = class.is_hardware().then(fracture::look).flatten();
    let disagreement = disagreement_ppm(&frequencies);

    let smi = smi_count(&machine.features);
    let steal_ns = steal.as_ref().map(|steal| steal.nanoseconds());
    let facts = Facts {
        class,
        invariant_tsc: machine.features.invariant_tsc,
        lfence,
        disagreement_ppm: disagreement,
        smi: smi != smi_before,
        steal_ns: steal_ns.unwrap_or(0) - steal_before,
        fractured,
        cpus_missing: machine.processors.missing() > 0,
    };
    let tags = tags(&facts);
    log::record(&Record::Environment(pagemark_record::Environment {
        class: class.name().into(),
        shift: class.shift(),
        tags: format_args!("{}", Words(&tags)).into(),
        nops: [nops.min, nops.max],
        quantum: step,
        rdtscp: machine.features.rdtscp,
        invariant_tsc: machine.features.invariant_tsc,
        lfence: lfence.name().into(),
        frequencies: told(&frequencies),
        disagreement_ppm: disagreement,
        cycles_per_1000_ticks,
        core_clock: core_clock.name().into(),
        smi_count: smi,
        steal_ns,
        microcode: microcode::revision(&machine.features).map(Hex),
        fractured,
        masked: format_args!("{}", Words(&masked)).into(),
    }));
    log::line(format_args!(
        "environment: {}{}",
        class.name(),
        if tags.is_empty() {
            ", figures are worth what they seem"
        } else {
            ", figures need their tags"
        }
    ));
    Witness {
        smi: smi.is_some(),
        steal,
        core_clock,
        usual: cycles_per_1000_ticks.filter(|_| class.is_hardware()),
    }
}

/// Words as the log separates them.
struct Words<'a>(&'a [&'static str]);

impl core::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            write!(f, "{}{word}", if place == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Who executes the instructions, the spread of brackets around 1,000 NOPs, and the clock's step.
fn nops(hypervisor: Option<&str>) -> (Class, Spread, u64) {
    use pagemark::cpu::tsc::brackets_of_nops;
    // The first ones find the code cold.
    let [.., warm_up] = [brackets_of_nops(), brackets_of_nops()];
    let readings = if warm_up[2] > EMULATED {
        READINGS_EMULATED
    } else {
        READINGS
    };
    let mut spreads = [Spread {
        min: u64::MAX,
        max: 0,
    }; 3];
    let mut step = 0;
    for _ in 0..readings {
        let brackets = brackets_of_nops();
        for (spread, ticks) in spreads.iter_mut().zip(brackets) {
            spread.min = spread.min.min(ticks);
            spread.max = spread.max.max(ticks);
        }
        step = quantum(brackets.into_iter().chain([step]));
    }
    let [empty, one, thousand] = spreads;
    (Class::of(hypervisor, empty, one, thousand), thousand, step)
}

/// The count of system-management interrupts, where the CPU keeps one: Intel's do since Nehalem (SDM volume 4).
fn smi_count(features: &Features) -> Option<u64> {
    let intel = features.vendor.as_str() == "GenuineIntel" && features.family == 6;
    intel.then(smi_count_now).flatten()
}

/// MSR_SMI_COUNT, on a CPU that may have it. The upper half is reserved.
fn smi_count_now() -> Option<u64> {
    const MSR_SMI_COUNT: u32 = 0x34;
    read_msr(MSR_SMI_COUNT).map(|count| count & 0xffff_ffff)
}

/// Whether LFENCE serialises, after it has been asked to where that is needed.
fn lfence_state(features: &Features) -> Lfence {
    const LEAF: u32 = 0x8000_0021;
    const DE_CFG: u32 = 0xc001_1029;
    const SERIALISING: u64 = 1 << 1;
    let vendor = features.vendor.as_str();
    let eax = if cpuid!(0x8000_0000).eax >= LEAF {
        cpuid!(LEAF).eax
    } else {
        0
    };
    if !matches!(vendor, "AuthenticAMD" | "HygonGenuine") {
        return lfence(vendor, eax, None, None);
    }
    let before = read_msr(DE_CFG);
    if let Some(value) = before
        && value & SERIALISING == 0
    {
        // SAFETY: on AMD's CPUs the bit makes LFENCE wait, and does nothing else.
        unsafe { write_msr(DE_CFG, value | SERIALISING) };
    }
    lfence(vendor, eax, before, read_msr(DE_CFG))
}

fn told(frequencies: &Frequencies) -> Told {
    Told {
        cpuid_15h: frequencies.get(Source::Cpuid15),
        cpuid_16h: frequencies.get(Source::Cpuid16),
        hypervisor: frequencies.get(Source::Hypervisor),
        hpet: frequencies.get(Source::Hpet),
        pm_timer: frequencies.get(Source::PmTimer),
        pit: frequencies.get(Source::Pit),
    }
}
