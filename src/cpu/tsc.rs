//! The time-stamp counter: reading it, what a tick of it means, and how many there are in a second.

use core::arch::asm;
use core::hint::spin_loop;

use raw_cpuid::CpuId;
use x86::io::{inb, inl, outb};

use super::features::Features;

/// What a tick is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// QEMU counts instructions (`-icount`): a tick delta is a number of executed instructions, equal from run to run.
    Instructions,
    /// The CPU's own counter: ticks at a constant rate, which is not the core's clock rate.
    Ticks,
    /// Instructions are interpreted in software, so that ticks say nothing about the CPU.
    Emulated,
}

/// Where the tick rate is known from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrequencySource {
    /// By definition: under `-icount shift=0` an instruction is a nanosecond.
    Icount,
    /// CPUID leaf 15H: crystal frequency and ratio.
    Cpuid15,
    /// CPUID leaf 16H: the base frequency in MHz.
    Cpuid16,
    /// The hypervisor's leaf 4000_0010H.
    Hypervisor,
    /// Counted against the ACPI power-management timer (3.579545 MHz).
    PmTimer,
    /// Counted against channel 2 of the programmable interval timer (1.193182 MHz).
    Pit,
    /// None of the above answered.
    Unknown,
}

impl FrequencySource {
    /// The name that the log gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrequencySource::Icount => "icount",
            FrequencySource::Cpuid15 => "cpuid 15h",
            FrequencySource::Cpuid16 => "cpuid 16h",
            FrequencySource::Hypervisor => "hypervisor leaf",
            FrequencySource::PmTimer => "pm timer",
            FrequencySource::Pit => "pit",
            FrequencySource::Unknown => "unknown",
        }
    }
}

/// Reads the counter, after every earlier instruction has completed and before any later one starts.
///
/// LFENCE on both sides rather than RDTSCP or CPUID: some hypervisors end the machine on the one where it is not reported,
/// and every one exits on the other.
#[inline(always)]
#[must_use]
pub fn read() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: every CPU with long mode has RDTSC and LFENCE; neither touches memory.
    unsafe {
        asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// One bracket around a number of NOPs, as one block, so that the compiler puts nothing between the two reads.
macro_rules! ticks_of_nops {
    ($count:literal) => {{
        let ticks: u64;
        // SAFETY: reads of the clock, and NOPs; only registers change.
        unsafe {
            asm!(
                "lfence", "rdtsc", "lfence",
                "mov r8, rax",
                "mov r9, rdx",
                concat!(".rept ", $count), "nop", ".endr",
                "lfence", "rdtsc", "lfence",
                "shl rdx, 32", "or rax, rdx",
                "shl r9, 32", "or r8, r9",
                "sub rax, r8",
                out("rax") ticks, out("rdx") _, out("r8") _, out("r9") _,
                options(nomem, nostack),
            );
        }
        ticks
    }};
}

/// Ticks of a bracket around nothing, around one NOP, and around 1,000.
#[must_use]
#[inline(never)]
pub fn brackets_of_nops() -> [u64; 3] {
    [ticks_of_nops!(0), ticks_of_nops!(1), ticks_of_nops!(1000)]
}

/// Ticks that a run of 1,000 NOPs takes, the cost of reading the clock taken off: the least of a few tries.
#[must_use]
pub fn ticks_per_1000_nops() -> u64 {
    // Once in the image, as each is 1,000 bytes.
    let tries = [(); 5].map(|()| brackets_of_nops());
    let least = |count: usize| tries.iter().map(|ticks| ticks[count]).min().unwrap_or(0);
    least(2).saturating_sub(least(0))
}

impl Clock {
    /// More ticks than this for 1,000 NOPs, and the instructions are interpreted: no CPU is as slow as 10 ticks a NOP.
    pub const EMULATED_ABOVE: u64 = 10_000;

    /// Tells the clocks apart: `nops` is [`ticks_per_1000_nops`].
    #[must_use]
    pub fn detect(features: &Features, nops: u64) -> Self {
        match (features.tcg, nops) {
            (true, 1000) => Clock::Instructions,
            (true, _) => Clock::Emulated,
            (false, nops) if nops > Self::EMULATED_ABOVE => Clock::Emulated,
            (false, _) => Clock::Ticks,
        }
    }

    /// The name that the log gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Instructions => "icount",
            Clock::Ticks => "tsc",
            Clock::Emulated => "emulated",
        }
    }
}

/// Ticks per second, and where that is known from; 0 if nothing tells. `pm_timer` is the timer's port, if ACPI gives one.
#[must_use]
pub fn frequency(clock: Clock, pm_timer: Option<u16>) -> (u64, FrequencySource) {
    if clock == Clock::Instructions {
        return (1_000_000_000, FrequencySource::Icount);
    }
    let cpuid = CpuId::new();
    if let Some(hertz) = cpuid.get_tsc_info().and_then(|info| info.tsc_frequency()) {
        return (hertz, FrequencySource::Cpuid15);
    }
    if let Some(hypervisor) = cpuid.get_hypervisor_info()
        && let Some(kilohertz) = hypervisor.tsc_frequency()
        && kilohertz != 0
    {
        return (u64::from(kilohertz) * 1000, FrequencySource::Hypervisor);
    }
    if let Some(hertz) = pm_timer.and_then(count_against_pm_timer) {
        return (hertz, FrequencySource::PmTimer);
    }
    if let Some(hertz) = count_against_pit() {
        return (hertz, FrequencySource::Pit);
    }
    match cpuid.get_processor_frequency_info() {
        Some(info) if info.processor_base_frequency() != 0 => (
            u64::from(info.processor_base_frequency()) * 1_000_000,
            FrequencySource::Cpuid16,
        ),
        _ => (0, FrequencySource::Unknown),
    }
}

/// Reads of a timer after which it counts as dead: far more than the 10 ms that a calibration takes.
const PATIENCE: u32 = 50_000_000;

/// ACPI specification 4.8.3.3: a free-running counter of 24 bits or more at 3.579545 MHz.
fn count_against_pm_timer(port: u16) -> Option<u64> {
    const HERTZ: u64 = 3_579_545;
    const MASK: u32 = 0xff_ffff;
    let pm_ticks = HERTZ as u32 / 100;
    // SAFETY: the FADT names the port as the power-management timer's, which is read-only.
    let timer = || unsafe { inl(port) } & MASK;
    // Start on an edge, so that no fraction of a tick is lost.
    let before = timer();
    let mut begin = timer();
    for _ in 0..10_000 {
        if begin != before {
            break;
        }
        begin = timer();
    }
    if begin == before {
        return None;
    }
    let start = read();
    for _ in 0..PATIENCE {
        let passed = timer().wrapping_sub(begin) & MASK;
        if passed >= pm_ticks {
            return Some((read() - start) * HERTZ / u64::from(passed));
        }
        spin_loop();
    }
    None
}

/// Intel 8254: channel 2 counts down from its reload value once its gate (port 61H, bit 0) is on; bit 5 shows the end.
fn count_against_pit() -> Option<u64> {
    const HERTZ: u64 = 1_193_182;
    const GATE: u16 = 0x61;
    let pit_ticks = (HERTZ / 100) as u16;
    // SAFETY: ports of the PIT and of its gate, which no one else uses; the speaker stays off.
    unsafe {
        let gate = inb(GATE) & !0b11;
        outb(GATE, gate);
        // Channel 2, low byte then high byte, mode 0 (interrupt on terminal count), binary.
        outb(0x43, 0b1011_0000);
        outb(0x42, pit_ticks as u8);
        outb(0x42, (pit_ticks >> 8) as u8);
        outb(GATE, gate | 1);
        let start = read();
        for _ in 0..PATIENCE {
            if inb(GATE) & (1 << 5) != 0 {
                let ticks = read() - start;
                outb(GATE, gate);
                return Some(ticks * HERTZ / u64::from(pit_ticks));
            }
            spin_loop();
        }
        outb(GATE, gate);
    }
    None
}
