//! The book's protocol, as 2.4.20 has it in arch/i386/kernel/smp.c: one lock, one slot for what is to be flushed, one mask of
//! those who still have to.
//!
//! The initiator flushes its own TLB first, takes the lock, fills the slot, interrupts every CPU of the mask and spins until
//! the last one has cleared its bit. Two initiators wait for each other, and the waiting one responds meanwhile. The slot of
//! 2.4 holds an address or "everything"; this one also holds a range, so that both protocols are asked for the same.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::flush::Place;
use super::sync::{AtomicU64, const_unless_loom};
use super::{CpuMask, Cpus, Flush, Protocol};

/// One lock, one slot, one mask.
pub struct GlobalSlot {
    /// 1: taken.
    lock: AtomicU64,
    flush: Place,
    /// Those who have not answered.
    unanswered: AtomicU64,
}

impl Default for GlobalSlot {
    fn default() -> Self {
        Self::new()
    }
}

impl GlobalSlot {
    const_unless_loom! {
        /// A slot in which nothing is asked for.
        #[must_use]
        pub fn new() -> Self {
            GlobalSlot {
                lock: AtomicU64::new(0),
                flush: Place::new(),
                unanswered: AtomicU64::new(0),
            }
        }
    }

    fn lock<C: Cpus>(&self, cpus: &C) {
        while self.lock.swap(1, Acquire) != 0 {
            while self.lock.load(Relaxed) != 0 {
                cpus.pause();
            }
        }
    }
}

impl Protocol for GlobalSlot {
    const NAME: &'static str = "global_slot";
    const LEAVES_IDLE_ALONE: bool = false;

    fn shoot<C: Cpus>(&self, cpus: &C, others: CpuMask, flush: Flush) {
        flush.perform(cpus.local());
        self.lock(cpus);
        self.flush.write(flush);
        self.unanswered.store(others.bits(), Release);
        for responder in others {
            cpus.interrupt(responder);
        }
        while self.unanswered.load(Acquire) != 0 {
            cpus.pause();
        }
        self.lock.store(0, Release);
    }

    fn respond<C: Cpus>(&self, cpus: &C) {
        let this = CpuMask::of(cpus.current());
        // Nobody else sets or clears this CPU's bit before it has answered.
        if self.unanswered.load(Acquire) & this.bits() != 0 {
            self.flush.read().perform(cpus.local());
            self.unanswered.fetch_and(!this.bits(), Release);
        }
    }
}
