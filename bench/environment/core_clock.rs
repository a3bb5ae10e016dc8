//! The counter of core cycles, where the CPU has one that it lets us read.

use pagemark::cpu::features::Features;
use pagemark::cpu::probe::{read_msr, write_msr};
use pagemark::cpu::steady::settled;
use pagemark::cpu::tsc;
use pagemark_verdict::{CoreReading, cycles_per_1000_ticks};
use raw_cpuid::CpuId;

/// IA32_MPERF and IA32_APERF (Intel SDM volume 3, 15.2; AMD APM volume 2, 17.3).
const MPERF: u32 = 0xe7;
const APERF: u32 = 0xe8;
/// Fixed counters 1 and 2: core cycles, and cycles at the TSC's rate (Intel SDM volume 3, 20.2.2).
const FIXED_CORE: u32 = 0x30a;
const FIXED_REFERENCE: u32 = 0x30b;
const FIXED_CONTROL: u32 = 0x38d;
const GLOBAL_CONTROL: u32 = 0x38f;
/// Ticks that are counted over.
const WINDOW: u64 = 1_000_000;

/// Which counter serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CoreClock {
    /// APERF, beside MPERF.
    Aperf,
    /// Fixed counter 1, beside fixed counter 2.
    FixedCounter,
    /// None that counts.
    None,
}

impl CoreClock {
    /// Finds the counter, and starts it where it needs that.
    pub(super) fn find(features: &Features) -> Self {
        let cpuid = CpuId::new();
        let has_aperf = cpuid
            .get_thermal_power_info()
            .is_some_and(|info| info.has_hw_coord_feedback());
        if has_aperf && read_msr(APERF).zip(read_msr(MPERF)).is_some() {
            return CoreClock::Aperf;
        }
        let fixed = features.vendor.as_str() == "GenuineIntel"
            && cpuid
                .get_performance_monitoring_info()
                .is_some_and(|info| info.version_id() >= 2 && info.fixed_function_counters() >= 3);
        if fixed && start_fixed_counters() {
            return CoreClock::FixedCounter;
        }
        CoreClock::None
    }

    /// The name in logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            CoreClock::Aperf => "aperf",
            CoreClock::FixedCounter => "fixed_counter",
            CoreClock::None => "none",
        }
    }

    /// Both counters.
    pub(super) fn read(self) -> Option<CoreReading> {
        let (cycles, reference) = match self {
            CoreClock::Aperf => (APERF, MPERF),
            CoreClock::FixedCounter => (FIXED_CORE, FIXED_REFERENCE),
            CoreClock::None => return None,
        };
        Some(CoreReading {
            cycles: read_msr(cycles)?,
            reference: read_msr(reference)?,
        })
    }

    /// Core cycles in 1,000 ticks while the core is busy.
    pub(super) fn cycles_per_1000_ticks(self) -> Option<u64> {
        let begin = self.read()?;
        let start = tsc::read();
        while tsc::read() - start < WINDOW {
            // Busy, and no pause: a core that rests may change its rate.
            core::hint::black_box(());
        }
        cycles_per_1000_ticks(begin, self.read()?)
    }
}

/// Windows that are waited for at most: some dozens of milliseconds each for a rate to move are much.
const WINDOWS: usize = 256;

impl CoreClock {
    /// Core cycles in 1,000 ticks while the core is busy, once that has settled, and whether it has within [`WINDOWS`].
    pub(super) fn settle(self) -> (Option<u64>, bool) {
        let mut rates = [0; 3];
        for window in 0..WINDOWS {
            let Some(rate) = self.cycles_per_1000_ticks() else {
                return (None, true);
            };
            rates.rotate_left(1);
            rates[2] = rate;
            if window >= 2 && settled(&rates) {
                return (Some(rate), true);
            }
        }
        (Some(rates[2]), false)
    }
}

/// Lets fixed counters 1 and 2 count at every privilege level.
fn start_fixed_counters() -> bool {
    const BOTH_AT_ALL_LEVELS: u64 = 0x330;
    const ENABLE_BOTH: u64 = 0b110 << 32;
    // SAFETY: nobody else uses the counters, and none of them is asked to interrupt.
    let write = |register, value| unsafe { write_msr(register, value) };
    write(FIXED_CONTROL, BOTH_AT_ALL_LEVELS) && write(GLOBAL_CONTROL, ENABLE_BOTH)
}
