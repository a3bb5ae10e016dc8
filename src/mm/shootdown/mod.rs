//! Floor 4, beside `tlb`: a flush on every CPU, by interrupting the others.
//!
//! ```text
//! Shootdown      the TLBs of all CPUs as one, behind the seam that `tlb` flushes through     (this file)
//!   cpus         CPUs by number; the seam to the hardware: this CPU's TLB, and an interrupt for the others
//!   mask         sets of CPUs: bitmaps of any number of words, at no cost for one
//!   flush        what a responder is asked to drop, and the place that the asking is left in
//!   wait         waits for answers, with an end
//!   global_slot  the book's protocol: one lock, one slot, one mask
//!   mailboxes    today's: a mailbox for each CPU, generations, idle CPUs left alone
//! ```
//!
//! The protocol is a type parameter. Of either it holds, whatever the CPUs do meanwhile:
//!
//! - When [`Protocol::shoot`] returns, no CPU uses the old translation any more: each responder has flushed and then answered,
//!   and the initiator has waited for every answer. (Answering first is a bug that has been seen in the field, and waiting with
//!   `if` is another.) An idle CPU may be left out, which flushes before it does anything else; not where tables left the tree.
//! - A responder takes no lock and waits for nobody, so that initiators that respond to each other cannot block each other.
//!
//! # Why the interrupt is an NMI
//!
//! The image runs with interrupts off. A fixed vector would not get through to a CPU in that state, so that every loop that
//! waits would have to look for requests itself; one that forgot to, or a CPU in HLT behind CLI, would block the initiator for
//! ever. An NMI gets through in HLT, in any loop, and while the CPU waits for the answers to its own shootdown. What it costs is
//! that the responder may interrupt anything, its own CPU's use of the protocol included: hence no locks in `respond`, and no
//! state of a CPU that both sides write in more than one step.
//!
//! # Why no request is lost
//!
//! A CPU remembers no more than one NMI while it handles another, so NMIs are no requests; they only ring a bell. The request is
//! in memory before the bell rings. If the NMI comes while no handler runs, a handler starts after the request was written, and
//! finds it. If it comes while one runs, the CPU holds it back until that one's IRET and starts the handler once more, which
//! finds it. If one is held back already, that one is still to come, and does for both. Hence a handler that finds nothing is
//! common, and no error. Nothing in the handler may fault, as the IRET from a fault lets NMIs in again.

#![forbid(unsafe_code)]

mod cpus;
mod flush;
mod global_slot;
mod mailboxes;
mod mask;
pub(in crate::mm) mod sync;
mod wait;

#[cfg(test)]
mod tests;

pub use cpus::{CpuId, Cpus};
pub use flush::Flush;
pub use global_slot::GlobalSlot;
pub use mailboxes::{Mailboxes, Slot};
pub use mask::{BITS, CpuMask, MAX_CPUS, Members, SharedMask, WORDS};

use super::address::{PageSize, VirtAddr};
use super::hardware::TlbInvalidate;

/// How a CPU makes others flush.
pub trait Protocol {
    /// The name that cases give it.
    const NAME: &'static str;
    /// Idle CPUs are not interrupted.
    const LEAVES_IDLE_ALONE: bool;

    /// Flushes on this CPU and on all others that are online. On return none of them uses the old translation any more.
    ///
    /// The entries have been changed before.
    fn shoot<C: Cpus>(&self, cpus: &C, flush: Flush);

    /// What an interrupted CPU does: all that it is asked for, if anything.
    fn respond<C: Cpus>(&self, cpus: &C);

    /// This CPU is about to wait for work: until [`Protocol::leave_idle`] it looks at no address whose mapping ever changes.
    fn enter_idle<C: Cpus>(&self, _cpus: &C) {}

    /// This CPU has been woken: makes up for what it was left out of.
    fn leave_idle<C: Cpus>(&self, _cpus: &C) {}
}

impl<P: Protocol> Protocol for &P {
    const NAME: &'static str = P::NAME;
    const LEAVES_IDLE_ALONE: bool = P::LEAVES_IDLE_ALONE;

    fn shoot<C: Cpus>(&self, cpus: &C, flush: Flush) {
        P::shoot(self, cpus, flush);
    }

    fn respond<C: Cpus>(&self, cpus: &C) {
        P::respond(self, cpus);
    }

    fn enter_idle<C: Cpus>(&self, cpus: &C) {
        P::enter_idle(self, cpus);
    }

    fn leave_idle<C: Cpus>(&self, cpus: &C) {
        P::leave_idle(self, cpus);
    }
}

/// The TLBs of all CPUs that are online. While that is one CPU, one test is all that is paid beyond its own flush.
#[derive(Clone, Copy, Debug)]
pub struct Shootdown<C, P> {
    cpus: C,
    protocol: P,
}

impl<C: Cpus, P: Protocol> Shootdown<C, P> {
    /// The TLBs of `cpus` under this protocol.
    pub const fn new(cpus: C, protocol: P) -> Self {
        Shootdown { cpus, protocol }
    }

    /// The CPUs.
    #[must_use]
    pub const fn cpus(&self) -> &C {
        &self.cpus
    }

    /// Whether no other CPU is online.
    #[inline]
    fn is_alone(&self) -> bool {
        self.cpus.online(0) == 0
    }

    /// Out of line: a CPU that is alone never comes here.
    #[cold]
    #[inline(never)]
    fn shoot(&self, flush: Flush) {
        self.protocol.shoot(&self.cpus, flush);
    }
}

impl<C: Cpus, P: Protocol> TlbInvalidate for Shootdown<C, P> {
    #[inline]
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if self.is_alone() {
            self.cpus.local().flush_pages(start, pages, size);
        } else {
            self.shoot(Flush::Pages { start, pages, size });
        }
    }

    #[inline]
    fn flush_all(&self) {
        if self.is_alone() {
            self.cpus.local().flush_all();
        } else {
            self.shoot(Flush::All);
        }
    }

    #[inline]
    fn flush_tables(&self) {
        if self.is_alone() {
            self.cpus.local().flush_all();
        } else {
            self.shoot(Flush::Tables);
        }
    }

    #[inline]
    fn flush_context(&self) {
        if self.is_alone() {
            self.cpus.local().flush_context();
        } else {
            self.shoot(Flush::Context);
        }
    }

    #[inline]
    fn reaches_others(&self) -> bool {
        !self.is_alone()
    }
}
