//! What a run is made on: the machine, what its clock counts, and where things lie in its address space.

use core::fmt;

#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

use crate::Hex;

/// The machine, and what its clock means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Machine<T> {
    /// The CPU's brand string.
    pub cpu: T,
    /// Its family, with the extended family added (CPUID 1).
    pub family: u32,
    /// Its model, with the extended model added.
    pub model: u32,
    /// Its stepping.
    pub stepping: u32,
    /// The hypervisor's name, or the signature of one that is not known (CPUID 4000_0000H); none where none says that it is there.
    pub hypervisor: Option<T>,
    /// What a tick is.
    pub clock: Clock,
    /// Ticks a second, as far as sources agree on them.
    pub tsc_hz: Option<u64>,
    /// The most trusted of those that agree, or why there is no rate.
    pub tsc_source: T,
    /// The TSC ticks at one rate in every power state (CPUID 8000_0007H, EDX bit 8).
    pub invariant_tsc: bool,
    /// Ticks that a block of 1,000 NOPs took.
    pub ticks_per_1000_nops: u64,
    /// Usable RAM in bytes.
    pub ram_bytes: u64,
    /// CPUs found.
    pub cpus: u32,
    /// The layout of the address space: `wide`, `classic`.
    pub layout: T,
    /// How the image was loaded: `multiboot2`, `pvh`; `process` where the suite is a process.
    pub loader: T,
    /// The CPU features that cases depend on, where present, separated by spaces.
    pub features: T,
    /// Identifies this machine among others of its kind: a hash of the SMBIOS system's and board's maker, product and serial
    /// number, in hexadecimal. Absent where the firmware has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<T>,
    /// Date and time by the machine's real-time clock, in the zone that it is set to: `2026-11-30T13:39:53`. Absent where the
    /// clock gives none, and under a clock that counts instructions, whose logs are equal from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<T>,
}

/// What a tick of the time-stamp counter is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// One executed instruction: an emulator's virtual time that advances with the instructions.
    Icount,
    /// A tick of the hardware's counter.
    Tsc,
    /// A tick of the host's time while an emulator works: it says nothing about any CPU.
    Emulated,
}

impl Clock {
    /// The name that the log uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Icount => "icount",
            Self::Tsc => "tsc",
            Self::Emulated => "emulated",
        }
    }

    /// What figures on this clock count.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Icount => Unit::Insns,
            Self::Tsc | Self::Emulated => Unit::Ticks,
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Executed instructions: equal from run to run.
    Insns,
    /// Ticks of the time-stamp counter.
    Ticks,
}

impl Unit {
    /// The name that the log uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insns => "insns",
            Self::Ticks => "ticks",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A CPU of the run, and where it sits. Ids are comparable within a log, and not dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Cpu {
    /// Its number in this run; 0 is the one that measures.
    pub cpu: u32,
    /// Its x2APIC id.
    pub apic: u32,
    /// The core: threads of one have the same.
    pub core: u32,
    /// The last-level cache; absent where the CPU does not say who shares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<u32>,
    /// The package.
    pub package: u32,
    /// The kind of core; absent where all are of one kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CoreKind>,
}

/// A kind of core, on a CPU that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum CoreKind {
    /// The fast ones.
    Performance,
    /// The small ones.
    Efficient,
}

/// A region of the virtual address space.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Region<T> {
    /// What lies there.
    pub name: T,
    /// Its first address.
    pub start: Hex,
    /// The address behind its last.
    pub end: Hex,
}
