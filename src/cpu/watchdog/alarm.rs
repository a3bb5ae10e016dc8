//! The alarm of the real-time clock: it strikes at a time of the day, so that a limit is good to a second, and one of more than a day
//! takes as many alarms.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{ALARM, NoWatchdog, Route, armed};
use crate::cpu::interrupt_sources::IoApicRegisters;
use crate::firmware::real_time_clock::{self, Alarm, DAY};

/// The clock's line on the ISA bus, which no machine is known to route elsewhere.
const LINE: u32 = 8;

/// Alarms that are to pass by.
static DAYS: AtomicU32 = AtomicU32::new(0);
/// What was set before.
static BEFORE: AtomicU64 = AtomicU64::new(0);

/// Arms the watchdog: after `seconds` seconds, and less than one more, an NMI finds [`struck`](super::struck) true.
///
/// # Errors
///
/// What the machine lacks.
///
/// # Safety
///
/// `io_apics` maps the registers of I/O APICs with the first line of each, uncached and for good, and nobody else uses them but to mask
/// what [`keep`](super::keep) then undoes. Called on the boot CPU, once.
pub unsafe fn arm(seconds: u32, io_apics: &[(u32, IoApicRegisters)]) -> Result<(), NoWatchdog> {
    let route = Route::of(LINE, io_apics)?.ok_or(NoWatchdog::NoLine)?;
    // The second that runs is not counted.
    let before = real_time_clock::set_alarm(seconds % DAY + 1).ok_or(NoWatchdog::NoClock)?;
    DAYS.store(seconds / DAY, Relaxed);
    BEFORE.store(before.0, Relaxed);
    armed(ALARM, route, seconds);
    Ok(())
}

/// Whether the last alarm has struck.
pub(super) fn is_over() -> bool {
    if !real_time_clock::has_struck() {
        return false;
    }
    let days = DAYS.load(Relaxed);
    DAYS.store(days.saturating_sub(1), Relaxed);
    days == 0
}

pub(super) fn disarm() {
    real_time_clock::restore_alarm(Alarm(BEFORE.load(Relaxed)));
}
