//! What the figures of this machine are worth, found out once, before any is taken.
//!
//! Here the readings are taken and recorded; the conclusions are drawn in `pagemark_verdict`, where the host tests it.

mod core_clock;
mod counters;
mod first_look;
mod fracture;
mod frequencies;
mod kvm_clock;
mod mask;
mod memory;
mod steal;
mod strikes;
pub mod topology;
mod witness;

use arrayvec::ArrayVec;
use pagemark::boot::command_line::Frequency;
use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::counters::{Absent, Counters};
use pagemark::cpu::features::Features;
use pagemark::cpu::lfence::Lfence;
use pagemark::cpu::probe::read_msr;
use pagemark::cpu::registers;
use pagemark::cpu::steady::{Steady, too_hot};
use pagemark::machine::Machine;
use pagemark_record::{Clock, Frequencies as FrequencyRecord, Hex, Record};
use pagemark_verdict::{Class, Facts, Frequencies, Rate, Readings, Source, Spread, Tags, tags};

use self::core_clock::CoreClock;
use self::first_look::{FirstLook, readings, row};
pub use self::strikes::Strikes;
pub use self::witness::Witness;

/// What was found out about this machine.
pub struct Found {
    class: Class,
    readings: Readings,
    step: u64,
    frequencies: Frequencies,
    rate: Rate,
    lfence: Lfence,
    core_clock: CoreClock,
    /// What was fixed of the core's rate, where that was asked for.
    steady: Option<Steady>,
    /// None where it was not looked.
    counters: Option<Result<Counters, Absent>>,
    cycles_per_1000_ticks: Option<u64>,
    not_write_back: Option<u64>,
    fractured: Option<bool>,
    smi: Option<u64>,
    steal_ns: Option<u64>,
    microcode: Option<u64>,
    masked: ArrayVec<&'static str, 3>,
    tags: Tags,
    steal: Option<steal::StealTime>,
    rdtscp: bool,
    invariant_tsc: bool,
}

/// Takes every reading, and concludes what it comes to. What could interrupt is masked from here on.
pub fn find_out(machine: &mut Machine) -> Found {
    let masked = mask::sources(machine);
    let smi_before = smi_count(&machine.features);
    let steal = steal::StealTime::enable(machine);
    let steal_before = steal.as_ref().map_or(0, |steal| steal.nanoseconds());

    let (mut readings, step) = readings();
    let mut class = Class::of(machine.features.hypervisor(), &readings);
    if class.is_hardware() {
        // Two steps of a coarse clock are enough for a CPU: a closer look.
        readings.row = row();
        class = Class::of(machine.features.hypervisor(), &readings);
    }
    // Before any rate is measured.
    let fixed = machine.options.frequency == Frequency::Fixed;
    let steady = fixed.then(|| Steady::fix(&ThisCpu));
    let frequencies = frequencies::measure(machine, class);
    let lfence = Lfence::ensure(&ThisCpu, &machine.features);
    let core_clock = CoreClock::find(&machine.features);
    let (cycles_per_1000_ticks, settled) = core_clock.settle();
    let counters = class.is_hardware().then(counters::start);
    let fractured = match class.is_hardware() {
        true => fracture::look(machine),
        false => None,
    };

    let not_write_back = memory::not_write_back(machine, class);

    let smi = smi_count(&machine.features);
    let steal_ns = steal.as_ref().map(|steal| steal.nanoseconds());
    let facts = Facts {
        class,
        invariant_tsc: machine.features.invariant_tsc,
        lfence_serialises: lfence.serialises(),
        rate: frequencies.rate(),
        disagreement_ppm: frequencies.disagreement_ppm(),
        smi: smi != smi_before,
        steal_ns: steal_ns.unwrap_or(0) - steal_before,
        not_write_back: not_write_back.unwrap_or(0),
        caches_off: registers::cr0() & registers::CR0_CD != 0,
        no_microcode: machine.microcode.unwrap_or(0) == 0,
        fractured,
        unsettled: !settled,
        too_hot: too_hot(&ThisCpu) == Some(true),
        cpus_missing: machine.processors.missing() > 0,
    };
    Found {
        class,
        readings,
        step,
        frequencies,
        rate: facts.rate,
        lfence,
        core_clock,
        counters,
        steady,
        cycles_per_1000_ticks,
        not_write_back,
        fractured,
        smi,
        steal_ns,
        microcode: machine.microcode,
        masked,
        tags: tags(&facts),
        steal,
        rdtscp: machine.features.rdtscp,
        invariant_tsc: machine.features.invariant_tsc,
    }
}

impl Found {
    /// What a tick is.
    pub const fn clock(&self) -> Clock {
        match self.class {
            Class::TcgIcount { shift: 0 } => Clock::Icount,
            Class::Silicon | Class::HardwareVirtualisation | Class::HiddenVirtualisation => {
                Clock::Tsc
            }
            // An instruction that takes several ticks is no unit of anything.
            Class::TcgIcount { .. } | Class::EmulatingKvm | Class::Emulator | Class::Tcg => {
                Clock::Emulated
            }
        }
    }

    /// The step in which the clock moves, in ticks.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Ticks in a second and the source that they are from, or why they are not known.
    pub fn rate(&self) -> (Option<u64>, &'static str) {
        match (self.clock(), self.rate) {
            // By definition.
            (Clock::Icount, _) => (Some(1_000_000_000), "icount"),
            (_, Rate::Unknown) => (None, "no source"),
            (_, Rate::Contradicted) => (None, "the sources contradict each other"),
            (_, Rate::Agreed { hertz, source } | Rate::Unconfirmed { hertz, source }) => {
                (Some(hertz), source.name())
            }
        }
    }

    /// Ticks in a second where they are those of hardware, and the same at any time.
    pub fn constant_rate(&self) -> Option<u64> {
        let constant = self.clock() == Clock::Tsc && self.invariant_tsc;
        self.rate().0.filter(|_| constant)
    }

    /// Ticks of 1,000 NOPs.
    pub const fn ticks_per_1000_nops(&self) -> u64 {
        self.readings.ticks_per_1000_nops()
    }

    /// What a later figure is held against.
    pub const fn first_look(&self) -> FirstLook {
        FirstLook {
            class: self.class,
            readings: self.readings,
        }
    }

    /// Writes all of it down.
    pub fn record(&self) {
        let mut kinds = ArrayVec::<&str, { pagemark::cpu::counters::MOST }>::new();
        match &self.counters {
            Some(Ok(counters)) => kinds.extend(counters.kinds().map(counters::name)),
            Some(Err(absent)) => kinds.push(absent.name()),
            None => {}
        }
        let both = |spread: Spread| [spread.min, spread.max];
        let frequencies = self.frequencies.rounded();
        log::record(&Record::Environment(pagemark_record::Environment {
            class: self.class.name().into(),
            shift: self.class.shift(),
            tags: format_args!("{}", Words(&self.tags)).into(),
            nops: both(self.readings.nops),
            additions: Some(both(self.readings.additions)),
            cpuid: Some(both(self.readings.cpuid)),
            quantum: self.step,
            rdtscp: self.rdtscp,
            invariant_tsc: self.invariant_tsc,
            lfence: self.lfence.name().into(),
            frequencies: frequency_record(&frequencies),
            disagreement_ppm: frequencies.disagreement_ppm(),
            cycles_per_1000_ticks: self.cycles_per_1000_ticks,
            core_clock: self.core_clock.name().into(),
            smi_count: self.smi,
            steal_ns: self.steal_ns,
            microcode: self.microcode.filter(|&revision| revision != 0).map(Hex),
            not_write_back: self.not_write_back,
            fractured: self.fractured,
            cold: (self.clock() != Clock::Icount).then_some(match self.class {
                Class::Silicon => "caches_and_tlbs".into(),
                _ => "tlbs".into(),
            }),
            frequency: self.steady.as_ref().map(|steady| steady.name().into()),
            counters: (!kinds.is_empty()).then_some(format_args!("{}", Words(&kinds)).into()),
            masked: format_args!("{}", Words(&self.masked)).into(),
        }));
        log::line(format_args!(
            "environment: {}{}",
            self.class.name(),
            if self.tags.is_empty() {
                ", figures are worth what they seem"
            } else {
                ", figures need their tags"
            }
        ));
    }

    /// The counters that see what strikes a sample.
    pub fn witness(self) -> Witness {
        Witness {
            smi: self.smi.is_some(),
            steal: self.steal,
            core_clock: self.core_clock,
            counters: self.counters.and_then(Result::ok),
            steady: self.steady,
            usual: self
                .cycles_per_1000_ticks
                .filter(|_| self.class.is_hardware()),
        }
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

fn frequency_record(frequencies: &Frequencies) -> FrequencyRecord {
    FrequencyRecord {
        cpuid_15h: frequencies.get(Source::Cpuid15),
        cpuid_15h_by_model: frequencies.get(Source::Cpuid15ByModel),
        kvm_clock: frequencies.get(Source::KvmClock),
        cpuid_16h: frequencies.get(Source::Cpuid16),
        hypervisor: frequencies.get(Source::Hypervisor),
        hpet: frequencies.get(Source::Hpet),
        pm_timer: frequencies.get(Source::PmTimer),
        pit: frequencies.get(Source::Pit),
    }
}
