//! What the figures of this process are worth, found out once, before any is taken.
//!
//! - `rate`: ticks of the TSC in a second, against the kernel's clock
//! - `core_clock`: core cycles in 1,000 ticks, by a chain of additions
//! - `first_look`: brackets around known instructions, the image's own readings
//! - `witness`: what strikes a sample: preemption, migration, a change of the core's rate
//! - `strikes`: what came of that in the whole run, as tags
//! - `date`: the date, as the log has it

mod core_clock;
pub mod date;
#[path = "../../environment/first_look.rs"]
mod first_look;
mod rate;
mod strikes;
mod witness;

use arrayvec::ArrayVec;
use pagemark::console::log;
use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::lfence::Lfence;
use pagemark::machine::Machine;
use pagemark_record::{Clock, Frequencies as FrequencyRecord, Record};
use pagemark_verdict::{AGREEMENT_PPM, Class, Frequencies, Readings, Source, Spread};

use self::first_look::{FirstLook, readings, row};
pub use self::strikes::Strikes;
pub use self::witness::Witness;
use crate::addresses;

/// What was found out about this process.
pub struct Found {
    class: Class,
    readings: Readings,
    step: u64,
    stated: Frequencies,
    measured: Option<u64>,
    lfence: Lfence,
    cycles_per_1000_ticks: Option<u64>,
    kernel: String,
    tags: ArrayVec<&'static str, 8>,
    rdtscp: bool,
    invariant_tsc: bool,
}

/// Takes every reading, and concludes what it comes to.
pub fn find_out(machine: &mut Machine) -> Found {
    let features = &machine.features;
    let (mut readings, step) = readings();
    readings.row = row();
    let class = Class::of(features.hypervisor(), &readings);
    let by_a_cpu = class.is_hardware();
    let stated = rate::stated(features);
    let measured = rate::measured();
    let lfence = Lfence::ensure(&ThisCpu, features);
    let mut tags = ArrayVec::new();
    let apart = rate::apart_ppm(&stated, measured);
    for (applies, tag) in [
        (!by_a_cpu, "emulated"),
        (features.hypervisor().is_some(), "hypervisor_below"),
        (class == Class::HiddenVirtualisation, "hypervisor_hidden"),
        (!features.invariant_tsc, "tsc_variant"),
        (!lfence.serialises(), "lfence_not_serialising"),
        (measured.is_none(), "frequency_unknown"),
        (apart > Some(AGREEMENT_PPM), "frequency_disagrees"),
        (machine.processors.missing() > 0, "cpus_missing"),
        (!addresses::are_fixed(), "addresses_random"),
    ] {
        if applies {
            tags.push(tag);
        }
    }
    Found {
        class,
        readings,
        step,
        stated,
        measured,
        lfence,
        cycles_per_1000_ticks: core_clock::cycles_per_1000_ticks(),
        kernel: kernel(),
        tags,
        rdtscp: features.rdtscp,
        invariant_tsc: features.invariant_tsc,
    }
}

impl Found {
    /// What a tick is.
    pub const fn clock(&self) -> Clock {
        match self.class.is_hardware() {
            true => Clock::Tsc,
            false => Clock::Emulated,
        }
    }

    /// The step in which the clock moves, in ticks.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Ticks in a second and the source that they are from, or why they are not known.
    pub const fn rate(&self) -> (Option<u64>, &'static str) {
        match self.measured {
            Some(hertz) => (Some(hertz), "clock_monotonic_raw"),
            None => (None, "no source"),
        }
    }

    /// Ticks in a second where they are the same at any time.
    pub fn constant_rate(&self) -> Option<u64> {
        self.measured
            .filter(|_| self.class.is_hardware() && self.invariant_tsc)
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
        let both = |spread: Spread| [spread.min, spread.max];
        log::record(&Record::Environment(pagemark_record::Environment {
            class: "process".into(),
            shift: None,
            tags: self.tags.join(" ").as_str().into(),
            nops: both(self.readings.nops),
            additions: Some(both(self.readings.additions)),
            cpuid: Some(both(self.readings.cpuid)),
            quantum: self.step,
            rdtscp: self.rdtscp,
            invariant_tsc: self.invariant_tsc,
            lfence: self.lfence.name().into(),
            frequencies: FrequencyRecord {
                cpuid_15h: self.stated.get(Source::Cpuid15),
                cpuid_15h_by_model: self.stated.get(Source::Cpuid15ByModel),
                cpuid_16h: self.stated.get(Source::Cpuid16),
                hypervisor: self.stated.get(Source::Hypervisor),
                ..FrequencyRecord::default()
            },
            disagreement_ppm: rate::apart_ppm(&self.stated, self.measured),
            cycles_per_1000_ticks: self.cycles_per_1000_ticks,
            core_clock: "additions".into(),
            smi_count: None,
            steal_ns: None,
            microcode: None,
            not_write_back: None,
            fractured: None,
            cold: None,
            kernel: Some(self.kernel.as_str().into()),
            frequency: None,
            counters: None,
            masked: "".into(),
        }));
        log::line(format_args!(
            "environment: a process on {}{}",
            self.kernel,
            match self.tags.is_empty() {
                true => ", figures are worth what they seem",
                false => ", figures need their tags",
            }
        ));
    }

    /// What sees that something strikes a sample.
    pub fn witness(self) -> Witness {
        Witness::new(
            self.cycles_per_1000_ticks
                .filter(|_| self.class.is_hardware()),
        )
    }
}

/// The kernel's name and release.
fn kernel() -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    format!("{} {}", read("ostype"), read("osrelease"))
}
