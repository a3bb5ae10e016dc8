//! What the figures of a machine are worth.

#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

use crate::Hex;

/// What the figures of this machine are worth, found out before any was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Environment<T> {
    /// Who executes the instructions: `silicon`, `hardware_virtualisation`, `hidden_virtualisation`, `emulating_kvm`, `emulator`, `tcg`,
    /// `tcg_icount`; `process` in a Linux process.
    pub class: T,
    /// With `tcg_icount`: an instruction takes 2^shift ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u8>,
    /// What a reader of the figures has to know, separated by spaces: `emulated`, `hypervisor_hidden`, `icount_shift`, `tsc_variant`,
    /// `lfence_not_serialising`, `frequency_disagrees`, `frequency_unconfirmed`, `frequency_unknown`, `memory_not_write_back`,
    /// `caches_off`, `no_microcode`, `smi`, `steal`, `fractured`, `frequency_unsettled`, `too_hot`, `cpus_missing`; of a process `hypervisor_below`. Empty where they are worth what they seem. A [`Tag`]
    /// adds one that was found out later.
    pub tags: T,
    /// The least and the most ticks that a bracket around 1,000 NOPs took.
    pub nops: [u64; 2],
    /// Likewise around 1,000 additions, each to the result of the one before: as many core cycles on every CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additions: Option<[u64; 2]>,
    /// Likewise around a CPUID, which every hypervisor traps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpuid: Option<[u64; 2]>,
    /// The step in which the clock moves, in ticks.
    pub quantum: u64,
    /// RDTSCP is there.
    pub rdtscp: bool,
    /// The TSC ticks at one rate in every power state.
    pub invariant_tsc: bool,
    /// Whether LFENCE waits for what is before it: `always`, `was_set`, `now_set`, `no`, `unknown`.
    pub lfence: T,
    /// The TSC's frequency, by every source that is there.
    pub frequencies: Frequencies,
    /// How far these are apart, leaf 16H left out, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement_ppm: Option<u64>,
    /// Core cycles in 1,000 ticks, where a counter of them is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_per_1000_ticks: Option<u64>,
    /// That counter: `aperf`, `fixed_counter`, `none`.
    pub core_clock: T,
    /// System-management interrupts since power-on, where the CPU counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smi_count: Option<u64>,
    /// Nanoseconds that the hypervisor took from this CPU, where it reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ns: Option<u64>,
    /// The revision of the microcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microcode: Option<Hex>,
    /// Bytes of RAM that the MTRRs leave otherwise than write-back, where there are MTRRs. In a virtual machine they mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_write_back: Option<u64>,
    /// The hypervisor backs large pages with small ones, so that INVLPG drops everything; absent where that cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fractured: Option<bool>,
    /// Of a process: the kernel that it runs on, name and release.
    #[cfg(not(target_os = "none"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<T>,
    /// What the cases `…/cold` begin without: `caches_and_tlbs`; under a hypervisor `tlbs`, as most ignore WBINVD. Absent where no
    /// such cases run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold: Option<T>,
    /// What `frequency=fixed` has fixed: `turbo_off`, `request_fixed`, both, or `refused`. Absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<T>,
    /// What the core's counters count, separated by spaces, or why there are none: `not_announced`, `switched_off`, `not_usable`, `do_not_count`.
    /// Absent where it was not looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<T>,
    /// Sources of interrupts that were masked: `8259`, `local_apic`, `io_apic`, separated by spaces.
    pub masked: T,
}

/// A tag of the environment that was found out after its record was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Tag<T> {
    /// The tag: `nops_disagree`, `nmi`, `machine_check`; of a process `preempted`, `migrated`, `frequency`.
    pub tag: T,
    /// What was seen.
    pub reason: T,
}

/// The frequency of the time-stamp counter in hertz, by source; one that was counted, rounded to what the count resolves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(default)]
pub struct Frequencies {
    /// CPUID leaf 15H, where it states the crystal's frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid_15h: Option<u64>,
    /// CPUID leaf 15H with the crystal that CPUs of this model have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid_15h_by_model: Option<u64>,
    /// CPUID leaf 16H: a rounded number of MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid_16h: Option<u64>,
    /// What the hypervisor states in a leaf or a register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<u64>,
    /// The multiplier of KVM's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kvm_clock: Option<u64>,
    /// The high-precision event timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpet: Option<u64>,
    /// ACPI's power-management timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pm_timer: Option<u64>,
    /// The programmable interval timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pit: Option<u64>,
}
