//! Ticks of the time-stamp counter in a second: against CLOCK_MONOTONIC_RAW, which the kernel derives from the source that it trusts, and
//! by what CPUID states.

use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::features::Features;
use pagemark::cpu::stated_rate::StatedRates;
use pagemark::cpu::tsc;
use pagemark_verdict::{Clocks, Frequencies, Source, Timer, count};

const NANOSECONDS: u64 = 1_000_000_000;
/// Parts of a second that are counted.
const PARTS: u64 = 100;

/// What CPUID states.
pub(super) fn stated(features: &Features) -> Frequencies {
    let stated = StatedRates::read(&ThisCpu, features);
    let mut frequencies = Frequencies::default();
    frequencies.note(Source::Cpuid15, stated.cpuid_15h);
    frequencies.note(Source::Cpuid15ByModel, stated.cpuid_15h_by_model);
    frequencies.note(Source::Cpuid16, stated.cpuid_16h);
    frequencies.note(Source::Hypervisor, stated.hypervisor);
    frequencies
}

/// What the kernel's clock says.
pub(super) fn measured() -> Option<u64> {
    let timer = Timer {
        hertz: NANOSECONDS,
        mask: u64::MAX,
    };
    let counted = count(&mut KernelClock, timer, PARTS).ok()?;
    Some(counted.hertz)
}

/// How far the most trusted statement lies from the measured rate, in millionths.
pub(super) fn apart_ppm(stated: &Frequencies, measured: Option<u64>) -> Option<u64> {
    let (stated, _) = stated.rate().hertz()?;
    let measured = measured?;
    let parts = u128::from(stated.abs_diff(measured)) * 1_000_000 / u128::from(measured.max(1));
    u64::try_from(parts).ok()
}

struct KernelClock;

impl Clocks for KernelClock {
    fn tsc(&mut self) -> u64 {
        tsc::read()
    }

    fn timer(&mut self) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the structure is ours; every Linux has the clock.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &mut time) };
        (time.tv_sec as u64) * NANOSECONDS + time.tv_nsec as u64
    }
}
