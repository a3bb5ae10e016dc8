//! A comparator of the HPET.
//!
//! IA-PC HPET Specification 1.0a, 2.3.8 and 2.3.9 (comparators).

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{HPET, NoWatchdog, Route, armed};
use crate::cpu::hpet::{CAPABILITIES, CONFIGURATION, MAIN_COUNTER, PERIODS, RUNS};
use crate::cpu::interrupt_sources::IoApicRegisters;
use crate::mm::address::VirtAddr;
use crate::mmio;

/// Registers of comparator n, 20H further up for each.
const TIMER_CONFIGURATION: u64 = 0x100;
const TIMER_COMPARATOR: u64 = 0x108;
const TIMER_STRIDE: u64 = 0x20;
/// CAPABILITIES: the number of the last comparator, and whether the main counter has 64 bits.
const LAST_TIMER: u64 = 0x1f << 8;
const WIDE_COUNTER: u64 = 1 << 13;
/// CONFIGURATION: two comparators take the place of the PIT and the clock.
const LEGACY: u64 = 1 << 1;
/// TIMER_CONFIGURATION: level-triggered, interrupts, periodic, 64 bits, held at 32 bits, by a message instead of a line.
const LEVEL: u64 = 1 << 1;
const INTERRUPTS: u64 = 1 << 2;
const PERIODIC: u64 = 1 << 3;
const WIDE: u64 = 1 << 5;
const NARROWED: u64 = 1 << 8;
const ROUTE: u64 = 0x1f << 9;
const BY_MESSAGE: u64 = 1 << 14;
/// Most counts from one look to the next, where the counter or the comparator has 32 bits: an NMI comes this often, sets the
/// comparator anew and goes on.
const NARROW_HOP: u64 = 1 << 31;
const WIDE_HOP: u64 = 1 << 62;

/// Lines of an I/O APIC that other devices of a PC interrupt by: the PIT on 0 or 2, and what the ISA bus had.
const LINES_OF_ISA: u32 = 16;

/// The HPET's registers.
static REGISTERS: AtomicU64 = AtomicU64::new(0);
static TIMER: AtomicU32 = AtomicU32::new(0);
/// The counter has 64 bits, and the comparator.
static IS_WIDE: AtomicBool = AtomicBool::new(false);
/// What the counter stands at when the comparator strikes next, and counts that are left then.
static TARGET: AtomicU64 = AtomicU64::new(0);
static LEFT: AtomicU64 = AtomicU64::new(0);

fn register(base: VirtAddr, offset: u64) -> volatile::VolatilePtr<'static, u64> {
    // SAFETY: the registers are mapped for good and nobody else's: the promise to `arm`.
    unsafe { mmio::at(base, offset) }
}

const fn of_timer(offset: u64, timer: u32) -> u64 {
    offset + TIMER_STRIDE * timer as u64
}

/// The line that a comparator takes of those that it can (a bit each): the highest that an I/O APIC has, as the lowest sixteen are other
/// devices'.
fn line(routes: u32, has_line: impl Fn(u32) -> bool) -> Option<u32> {
    (LINES_OF_ISA..32)
        .rev()
        .find(|&line| routes & 1 << line != 0 && has_line(line))
}

/// Arms the watchdog: after `seconds` seconds an NMI finds [`struck`](super::struck) true.
///
/// # Errors
///
/// What the machine lacks; nothing was changed then but that the HPET may run.
///
/// # Safety
///
/// `hpet` maps an HPET's registers, and `io_apics` those of I/O APICs with the first line of each, uncached and for good; whoever else
/// uses them masks no more than [`keep`](super::keep) undoes, and leaves the counter running. Called on the boot CPU, once.
pub unsafe fn arm(
    seconds: u32,
    hpet: VirtAddr,
    io_apics: &[(u32, IoApicRegisters)],
) -> Result<(), NoWatchdog> {
    let capabilities = register(hpet, CAPABILITIES).read();
    let period = capabilities >> 32;
    if !PERIODS.contains(&period) {
        return Err(NoWatchdog::NoHpet);
    }
    let timers = (0..=(capabilities & LAST_TIMER) >> 8).map(|timer| timer as u32);
    let found = timers.clone().find_map(|timer| {
        let can = register(hpet, of_timer(TIMER_CONFIGURATION, timer)).read();
        let has_line = |line| matches!(Route::of(line, io_apics), Ok(Some(_)));
        let line = line((can >> 32) as u32, has_line)?;
        Some((timer, line, can))
    });
    // Of any line it says whether the CPU can be addressed.
    Route::of(0, io_apics)?;
    let (timer, line, can) = found.ok_or(NoWatchdog::NoRoute)?;
    let route = Route::of(line, io_apics)?.ok_or(NoWatchdog::NoRoute)?;

    for timer in timers {
        register(hpet, of_timer(TIMER_CONFIGURATION, timer)).update(|timer| timer & !INTERRUPTS);
    }
    register(hpet, CONFIGURATION).update(|configuration| configuration & !LEGACY | RUNS);
    if !moves(hpet) {
        return Err(NoWatchdog::StandsStill);
    }
    let wide = capabilities & WIDE_COUNTER != 0 && can & WIDE != 0;
    let configuration = can & !(LEVEL | INTERRUPTS | PERIODIC | NARROWED | ROUTE | BY_MESSAGE)
        | u64::from(line) << 9
        | if wide { 0 } else { NARROWED };
    let at = register(hpet, of_timer(TIMER_CONFIGURATION, timer));
    at.write(configuration);
    if at.read() & ROUTE != u64::from(line) << 9 {
        return Err(NoWatchdog::NoRoute);
    }
    let counts = u128::from(seconds) * 1_000_000_000_000_000 / u128::from(period);
    TIMER.store(timer, Relaxed);
    IS_WIDE.store(wide, Relaxed);
    LEFT.store(u64::try_from(counts).unwrap_or(u64::MAX), Relaxed);
    set_comparator(hpet, register(hpet, MAIN_COUNTER).read());
    REGISTERS.store(hpet.0, Relaxed);
    armed(HPET, route, seconds);
    at.update(|timer| timer | INTERRUPTS);
    Ok(())
}

/// Whether the main counter moves. The slowest counts every 100 ns.
fn moves(hpet: VirtAddr) -> bool {
    const LOOKS: u32 = 100_000;
    let first = register(hpet, MAIN_COUNTER).read();
    (0..LOOKS).any(|_| {
        core::hint::spin_loop();
        register(hpet, MAIN_COUNTER).read() != first
    })
}

/// Has the comparator strike after what is left, or after a part of that which its bits can hold.
fn set_comparator(hpet: VirtAddr, now: u64) {
    let left = LEFT.load(Relaxed);
    let wide = IS_WIDE.load(Relaxed);
    let hop = left.min(if wide { WIDE_HOP } else { NARROW_HOP });
    LEFT.store(left - hop, Relaxed);
    let target = now.wrapping_add(hop);
    let target = if wide {
        target
    } else {
        target & u64::from(u32::MAX)
    };
    TARGET.store(target, Relaxed);
    let timer = TIMER.load(Relaxed);
    register(hpet, of_timer(TIMER_COMPARATOR, timer)).write(target);
}

/// Counts from `target` to `now`, negative before it.
fn past(now: u64, target: u64, wide: bool) -> i64 {
    let past = now.wrapping_sub(target);
    if wide {
        past.cast_signed()
    } else {
        i64::from((past as u32).cast_signed())
    }
}

/// Whether the time is over. Before that it sets the comparator anew where it struck on the way.
pub(super) fn is_over() -> bool {
    let hpet = VirtAddr(REGISTERS.load(Relaxed));
    let now = register(hpet, MAIN_COUNTER).read();
    if past(now, TARGET.load(Relaxed), IS_WIDE.load(Relaxed)) < 0 {
        return false;
    }
    let on_the_way = LEFT.load(Relaxed) > 0;
    if on_the_way {
        set_comparator(hpet, TARGET.load(Relaxed));
    }
    !on_the_way
}

pub(super) fn disarm() {
    let hpet = VirtAddr(REGISTERS.load(Relaxed));
    let timer = TIMER.load(Relaxed);
    register(hpet, of_timer(TIMER_CONFIGURATION, timer)).update(|timer| timer & !INTERRUPTS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_none_of_the_isa_bus_and_one_that_is_there() {
        let of_24 = |line| line < 24;
        // QEMU's, and a chipset's that has lines 20 to 23 alone.
        assert_eq!(line(0x00ff_0104, of_24), Some(23));
        assert_eq!(line(0x00f0_0000, of_24), Some(23));
        assert_eq!(line(0x00f0_0000, |line| line < 22), Some(21));
        assert_eq!(line(0xff00_0104, of_24), None);
        assert_eq!(line(0xffff, of_24), None);
    }

    #[test]
    fn a_counter_wraps() {
        assert_eq!(past(5, 5, true), 0);
        assert_eq!(past(2, u64::MAX, true), 3);
        assert_eq!(past(u64::MAX, 2, true), -3);
        assert_eq!(past(2, 0xffff_ffff, false), 3);
        assert_eq!(past(0xffff_ffff, 2, false), -3);
    }
}
