//! The records, one type each. `T` is the type of their texts: [`crate::Text`] where they are written, `String` where they
//! are read.

use core::fmt;

use arrayvec::ArrayVec;
use serde::Serialize;
#[cfg(feature = "read")]
use serde::{Deserialize, Deserializer};

use crate::{Figure, Vmallocinfo};

/// The most return addresses that a [`Panic`] carries; the outermost ones are left out.
pub const MAX_ADDRESSES: usize = 32;

/// One line of the log that a program reads. In JSON its key `record` says which one it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(tag = "record", rename_all = "lowercase")]
#[allow(missing_docs, reason = "each type says what it is")]
#[allow(
    clippy::large_enum_variant,
    reason = "the addresses of a panic cannot be boxed in the image"
)]
pub enum Record<T> {
    Start(Start<T>),
    Environment(Environment<T>),
    Machine(Machine<T>),
    Region(Region<T>),
    Zone(Zone<T>),
    Buddyinfo(Buddyinfo<T>),
    Vmallocinfo(Vmallocinfo),
    Notice(Notice<T>),
    Boot(Boot),
    Check(Check<T>),
    Result(CaseResult<T>),
    Skip(Skip<T>),
    Frames(Frames),
    Crossover(Crossover),
    Probe(Probe),
    Error(Error<T>),
    Panic(Panic<T>),
    End(End),
}

/// The first record of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Start<T> {
    /// [`crate::SCHEMA`] of the image.
    pub schema: u32,
    /// The source that the image was built from, as `git describe` names it.
    pub revision: T,
    /// The suite that runs: `quick`, `full`, `probe`.
    pub suite: T,
    /// The command line, as the loader gave it.
    pub command_line: T,
    /// Bytes by which the code lies further up than usual: 0, or a multiple of 16 below 64.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub text_offset: u32,
}

fn is_usual(text_offset: &u32) -> bool {
    *text_offset == 0
}

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
    /// The hypervisor's signature (CPUID 4000_0000H); none on bare metal.
    pub hypervisor: Option<T>,
    /// What a tick is.
    pub clock: Clock,
    /// Ticks a second, where a source gave them.
    pub tsc_hz: Option<u64>,
    /// The source that served, or why there is none.
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
    /// How the image was loaded: `multiboot2`, `pvh`.
    pub loader: T,
    /// The CPU features that cases depend on, where present, separated by spaces.
    pub features: T,
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

/// What the figures of this machine are worth, found out before any was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Environment<T> {
    /// Who executes the instructions: `silicon`, `hardware_virtualisation`, `emulating_kvm`, `tcg`, `tcg_icount`.
    pub class: T,
    /// With `tcg_icount`: an instruction takes 2^shift ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u8>,
    /// What a reader of the figures has to know, separated by spaces: `emulated`, `icount_shift`, `tsc_variant`,
    /// `lfence_not_serialising`, `frequency_disagrees`, `smi`, `steal`, `fractured`. Empty where they are worth what they seem.
    pub tags: T,
    /// The least and the most ticks that a bracket around 1,000 NOPs took.
    pub nops: [u64; 2],
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
    /// How far these are apart, in millionths.
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
    /// Nanoseconds that the hypervisor took from this CPU, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ns: Option<u64>,
    /// The revision of the microcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microcode: Option<Hex>,
    /// The hypervisor backs large pages with small ones, so that INVLPG drops everything; absent where that cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fractured: Option<bool>,
    /// Sources of interrupts that were masked: `8259`, `local_apic`, `io_apic`, separated by spaces.
    pub masked: T,
}

/// The frequency of the time-stamp counter in hertz, by source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(default)]
pub struct Frequencies {
    /// CPUID leaf 15H.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid_15h: Option<u64>,
    /// CPUID leaf 16H, to the MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuid_16h: Option<u64>,
    /// The hypervisor's leaf 4000_0010H.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<u64>,
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

/// A zone of the buddy, as the boot-time allocator handed it over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Zone<T> {
    /// The zone's name.
    pub name: T,
    /// Its first physical address.
    pub start: Hex,
    /// The physical address behind its last.
    pub end: Hex,
    /// Frames in it that are free.
    pub free_frames: u64,
}

/// Orders of blocks that a [`Buddyinfo`] has figures for: 0 to 10.
pub const ORDERS: usize = 11;

/// The free blocks of one zone at one moment, order by order: Linux's `/proc/buddyinfo` and `extfrag_index`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Buddyinfo<T> {
    /// When.
    pub moment: Moment,
    /// The zone's name.
    pub zone: T,
    /// Free blocks of each order.
    pub blocks: [u64; ORDERS],
    /// For each order why a request of it would fail, in thousandths: towards 0 for lack of memory, towards 1000 because what
    /// is free lies in pieces. None where a block is there.
    pub fragmentation: [Option<u64>; ORDERS],
}

/// When something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Before the first case.
    Start,
    /// While a check has made what it counts.
    Check,
    /// After the last case.
    End,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Check => "check",
            Self::End => "end",
        })
    }
}

/// Something that a person should know and that did not stop the run: a repair of the loader's memory map, for one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Notice<T> {
    /// The sentence.
    pub text: T,
}

/// The way from the image's entry to the first sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Boot {
    /// How long it took.
    pub ticks: u64,
    /// In which unit.
    pub unit: Unit,
}

/// A proof, outside every timing window, that an operation did what it claims.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Check<T> {
    /// What was checked; for a case's own check the case's name.
    pub name: T,
    /// Whether it held.
    pub pass: bool,
    /// What was seen; may be empty when it held.
    pub detail: T,
}

/// What one case measured, what the harness itself costs already subtracted. A case has a result only if its proofs held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct CaseResult<T> {
    /// The case ([`crate::is_case_name`]), unique in its log.
    pub case: T,
    /// What the figures count.
    pub unit: Unit,
    /// How many samples they sum up: one a round.
    pub samples: u64,
    /// The smallest.
    pub min: Figure,
    /// The one that a quarter does not exceed.
    pub p25: Figure,
    /// The middle one.
    pub median: Figure,
    /// The one that three quarters do not exceed.
    pub p75: Figure,
    /// The one that 99 % do not exceed.
    pub p99: Figure,
    /// The largest.
    pub max: Figure,
    /// The bounds of the median, exact for every distribution: with `n` samples the probability is that of
    /// `pagemark_statistics::interval`.
    pub interval: [Figure; 2],
    /// What the harness costs, an operation: it was subtracted from each sample.
    pub overhead: Figure,
    /// Operations in a sample: of 1 a sample is one bracket around one operation, of more it is the slope between so many and
    /// twice as many.
    pub batch: u32,
    /// The median in nanoseconds, where the clock's rate is known and constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns: Option<Figure>,
    /// The median in core cycles, where the CPU counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<Figure>,
    /// What struck samples, by cause.
    #[serde(default, skip_serializing_if = "Disturbances::none")]
    pub disturbances: Disturbances,
    /// Every sample, in the order in which they were taken ([`crate::Series`]).
    pub rounds: T,
}

/// How many of a case's samples something struck from outside. Samples that a system-management interrupt or the hypervisor
/// struck were taken again; all others are among the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Disturbances {
    /// By a system-management interrupt, as the CPU's counter of them says.
    pub smi: u32,
    /// By the hypervisor, which ran something else meanwhile, as its steal time says.
    pub steal: u32,
    /// By a change of the core's clock rate.
    pub frequency: u32,
    /// By something unknown: they lie far above the others.
    pub unknown: u32,
}

impl<T> CaseResult<T> {
    /// A result all of whose samples are equal.
    pub fn of_equal(case: T, unit: Unit, figure: Figure, samples: u64, rounds: T) -> Self {
        Self {
            case,
            unit,
            samples,
            min: figure,
            p25: figure,
            median: figure,
            p75: figure,
            p99: figure,
            max: figure,
            interval: [figure; 2],
            overhead: Figure::default(),
            batch: 1,
            ns: None,
            cycles: None,
            disturbances: Disturbances::default(),
            rounds,
        }
    }
}

impl Disturbances {
    /// Whether nothing struck.
    pub fn none(&self) -> bool {
        *self == Self::default()
    }
}

/// A case that did not run here.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Skip<T> {
    /// The case.
    pub case: T,
    /// Why: a feature that the CPU lacks, too little memory.
    pub reason: T,
}

/// Whether the run gave back every frame it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Frames {
    /// Free frames before the first case.
    pub at_start: u64,
    /// Free frames after the last.
    pub at_end: u64,
}

/// From how many pages on dropping the whole TLB is cheaper than dropping page by page, filling in again included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Crossover {
    /// So many; none if page by page was the cheaper way at all numbers that were measured.
    pub pages: Option<u64>,
    /// Linux's `tlb_single_page_flush_ceiling`: at more pages than that it drops the whole.
    pub linux: u64,
    /// The ceiling of this run.
    pub ceiling: u64,
    /// The most pages that were measured.
    pub largest: u64,
}

/// All that the suite `probe` measures: whether the guest's instructions run on the CPU or in somebody's interpreter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Probe {
    /// Ticks that a block of 1,000 NOPs took, the empty bracket subtracted.
    pub ticks_per_1000_nops: u64,
}

/// Why a run could not be made as it was asked for: a bad command line, too little RAM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Error<T> {
    /// The sentence; it names the offending value.
    pub message: T,
}

/// The image's last words. No `end` follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Panic<T> {
    /// What went wrong.
    pub message: T,
    /// The source file, where known; empty where not.
    pub file: T,
    /// The line in it; 0 where not known.
    pub line: u32,
    /// Return addresses on the stack, innermost first, and at an exception the interrupted instruction. Stale ones may be among
    /// them.
    pub addresses: ArrayVec<Hex, MAX_ADDRESSES>,
}

/// The last record of a run that went to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct End {
    /// How it went.
    pub verdict: Verdict,
    /// The number of lines before this one ([`crate::LineSum`]).
    pub lines: u64,
    /// Their CRC-32.
    pub crc32: Hex,
}

/// How a run went that went to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check held and every frame came back.
    Pass,
    /// A check failed.
    Fail,
    /// It could not be made as it was asked for; an `error` record says why.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        })
    }
}

/// An address or another word that people read in hexadecimal: `"0xffff888000000000"` in JSON, whose numbers many readers
/// hold in 53 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "read")]
impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HexVisitor;

        impl serde::de::Visitor<'_> for HexVisitor {
            type Value = Hex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string such as \"0x1000\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hex, E> {
                text.strip_prefix("0x")
                    .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .map(Hex)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(HexVisitor)
    }
}
