//! The end of the other CPUs when one panics: they stop where they are, so that the last words are the last, and nobody else
//! writes to the log or changes what the panic tells of.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

use super::tlbs;
use crate::cpu::{halt, per_cpu};
use crate::mm::shootdown::CpuMask;

/// The CPU that stops the others, as a mask; 0 if none does.
static BY: AtomicU64 = AtomicU64::new(0);
/// CPUs that have stopped.
static STOPPED: AtomicU64 = AtomicU64::new(0);
/// CPUs that may run, the boot CPU left out.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Looks after which a CPU that does not stop is given up: it is in an NMI of its own, or dead.
const PATIENCE: u32 = 10_000_000;

/// Says that these CPUs may run.
pub(super) fn started(cpus: CpuMask) {
    STARTED.fetch_or(cpus.bits(), AcqRel);
}

/// Stops all other CPUs. If another one is just doing that, this one stops.
pub fn others() {
    let this = CpuMask::of(per_cpu::current());
    let by = BY.compare_exchange(0, this.bits(), AcqRel, Acquire);
    if by.is_err_and(|by| by != this.bits()) {
        obey();
    }
    let started = CpuMask::from_bits(STARTED.load(Acquire));
    if started.is_empty() {
        return;
    }
    let others = started
        .with(crate::mm::shootdown::CpuId::BOOT)
        .without(this);
    others.into_iter().for_each(tlbs::interrupt);
    for _ in 0..PATIENCE {
        let stopped = CpuMask::from_bits(STOPPED.load(Acquire));
        if others.without(stopped).is_empty() {
            break;
        }
        spin_loop();
    }
}

/// Stops this CPU if another one wants that.
pub(super) fn obey() {
    let by = BY.load(Acquire);
    let this = CpuMask::of(per_cpu::current()).bits();
    if by != 0 && by != this {
        STOPPED.fetch_or(this, AcqRel);
        halt();
    }
}
