//! The end of the other CPUs when one panics: they stop where they are, so that the last words are the last, and nobody else
//! writes to the log or changes the state that the panic reports.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use super::tlbs;
use crate::cpu::{halt, per_cpu, tsc};
use crate::mm::shootdown::{CpuId, CpuMask, SharedMask};

/// The number of the CPU that stops the others, counted from 1; 0 if none does.
static BY: AtomicU64 = AtomicU64::new(0);
/// CPUs that have stopped.
static STOPPED: SharedMask = SharedMask::new();
/// CPUs that can take an NMI, the boot CPU left out: each says so itself, before it does anything that could panic.
static STARTED: SharedMask = SharedMask::new();

/// Looks after which a CPU that does not stop is given up: it is in an NMI of its own, or dead.
const PATIENCE: u32 = 10_000_000;

/// This CPU can take an NMI from here on. It stops if another one panicked meanwhile.
pub(super) fn take_part() {
    let this = per_cpu::current();
    STARTED.word(this.word()).fetch_or(this.bit(), AcqRel);
    obey();
}

/// A CPU was given up, and is in reset.
pub(super) fn given_up(cpu: CpuId) {
    STARTED.word(cpu.word()).fetch_and(!cpu.bit(), AcqRel);
}

/// Waits up to `ticks` ticks for another CPU that panics to stop this one; returns if none does.
pub fn wait_for_another(ticks: u64) {
    /// For a TSC that stands still. A look takes some nanoseconds.
    const LOOKS: u32 = 100_000_000;
    if STARTED.load().is_empty() {
        return;
    }
    let start = tsc::read();
    for _ in 0..LOOKS {
        obey();
        if tsc::read().wrapping_sub(start) >= ticks {
            break;
        }
        spin_loop();
    }
}

/// Stops all other CPUs. If another one is just doing that, this one stops.
pub fn others() {
    let this = per_cpu::current();
    let before = BY.compare_exchange(0, by(this), AcqRel, Acquire);
    if before.is_err_and(|other| other != by(this)) {
        obey();
    }
    let started = STARTED.load();
    if started.is_empty() {
        return;
    }
    let others: CpuMask = started.with(CpuId::BOOT).without(this);
    others.into_iter().for_each(tlbs::interrupt);
    let mut patience = PATIENCE;
    for cpu in &others {
        while STOPPED.word(cpu.word()).load(Acquire) & cpu.bit() == 0 && patience > 0 {
            patience -= 1;
            spin_loop();
        }
    }
}

/// A CPU as [`BY`] has it.
fn by(cpu: CpuId) -> u64 {
    cpu.number() as u64 + 1
}

/// Stops this CPU if another one wants that.
pub(super) fn obey() {
    let by = BY.load(Acquire);
    if by == 0 {
        return;
    }
    let this = per_cpu::current();
    if by != self::by(this) {
        STOPPED.word(this.word()).fetch_or(this.bit(), AcqRel);
        halt();
    }
}
