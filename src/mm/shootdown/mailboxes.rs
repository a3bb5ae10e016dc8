//! Today's protocol, after what Linux has since 4.14 and 5.13 (arch/x86/mm/tlb.c, kernel/smp.c): no lock, initiators that do
//! not wait for each other, local flushes while the remote ones are under way, and no flush twice.
//!
//! Each CPU has a mailbox, a mask of those who ask it for a flush. What they ask for lies with them: an initiator waits for the
//! answers before it asks for the next thing, so a bit for each is room enough, and no mailbox can ever be full. Whoever puts
//! the first bit into an empty mailbox rings the bell; the others know that it is about to ring, or has rung unheard.
//!
//! # Generations
//!
//! Each shootdown is one generation of the kernel's mappings. A CPU remembers up to which one its TLB is current. Asked for the
//! next one it drops the range that it is asked for. If it is further behind, as several requests wait at once, it drops
//! everything, is current, and finds the other requests done. What is written as "current" is read before the flush, so that it
//! never promises too much; to lag behind only costs a flush.
//!
//! # Idle CPUs
//!
//! A CPU that waits for work uses no translation that ever changes, and is left alone; when it is woken, it compares
//! generations. No request gets lost between the two: the initiator makes the new generation known and then looks who is idle;
//! the CPU says that it is not idle any more and then looks at the generation. Whichever came first with its first step, the
//! other sees it with its second: either the CPU is asked or it sees that it is behind. A CPU that falls idle with a request
//! in its mailbox is interrupted all the same.
//!
//! Idle is about leaves alone. Where tables themselves are freed, an idle CPU must be woken before they are used for something
//! else, as it may walk them ahead of what it executes.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::flush::Place;
use super::sync::{AtomicU64, const_unless_loom, load_after_locked_instruction};
use super::{CpuId, CpuMask, Cpus, Flush, MAX_CPUS, Protocol};

/// What one CPU asks the others for. It has cache lines of its own, as all of them write to it.
#[repr(align(64))]
struct Request {
    flush: Place,
    generation: AtomicU64,
    /// Those who have not answered.
    unanswered: AtomicU64,
}

/// What one CPU is asked for.
#[repr(align(64))]
struct Mailbox {
    /// Those who ask.
    from: AtomicU64,
    /// The generation up to which this CPU's TLB is current. Only this CPU writes to it.
    current: AtomicU64,
}

/// A mailbox and a request for each of `CPUS` CPUs.
pub struct Mailboxes<const CPUS: usize = MAX_CPUS> {
    generation: AtomicU64,
    idle: AtomicU64,
    mailboxes: [Mailbox; CPUS],
    requests: [Request; CPUS],
}

impl<const CPUS: usize> Default for Mailboxes<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl Request {
    const_unless_loom! {
        fn new() -> Self {
            Request {
                flush: Place::new(),
                generation: AtomicU64::new(0),
                unanswered: AtomicU64::new(0),
            }
        }
    }
}

impl Mailbox {
    const_unless_loom! {
        fn new() -> Self {
            Mailbox {
                from: AtomicU64::new(0),
                current: AtomicU64::new(0),
            }
        }
    }
}

impl<const CPUS: usize> Mailboxes<CPUS> {
    /// Empty mailboxes; nobody is idle, and everybody is current.
    #[cfg(not(all(test, loom)))]
    #[must_use]
    pub const fn new() -> Self {
        Mailboxes {
            generation: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            mailboxes: [const { Mailbox::new() }; CPUS],
            requests: [const { Request::new() }; CPUS],
        }
    }

    /// Empty mailboxes; nobody is idle, and everybody is current.
    #[cfg(all(test, loom))]
    pub fn new() -> Self {
        Mailboxes {
            generation: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            mailboxes: core::array::from_fn(|_| Mailbox::new()),
            requests: core::array::from_fn(|_| Request::new()),
        }
    }

    /// Whether a CPU is idle, so that it is left alone.
    #[must_use]
    pub fn is_idle(&self, cpu: CpuId) -> bool {
        CpuMask::from_bits(self.idle.load(Relaxed)).contains(cpu)
    }

    /// Brings this CPU's TLB up to `generation`, which the flush belongs to.
    fn catch_up<C: Cpus>(&self, cpus: &C, this: CpuId, generation: u64, flush: Flush) {
        let current = &self.mailboxes[this.number()].current;
        let reached = current.load(Relaxed);
        if reached >= generation {
            return;
        }
        if reached + 1 == generation {
            flush.perform(cpus.local());
            current.store(generation, Relaxed);
        } else {
            self.catch_up_with_all(cpus, this);
        }
    }

    fn catch_up_with_all<C: Cpus>(&self, cpus: &C, this: CpuId) {
        // Before the flush: what changes after it may be in the TLB again.
        let generation = self.generation.load(Acquire);
        Flush::All.perform(cpus.local());
        self.mailboxes[this.number()]
            .current
            .store(generation, Relaxed);
    }
}

impl<const CPUS: usize> Protocol for Mailboxes<CPUS> {
    const NAME: &'static str = "mailboxes";
    const LEAVES_IDLE_ALONE: bool = true;

    fn shoot<C: Cpus>(&self, cpus: &C, others: CpuMask, flush: Flush) {
        let this = cpus.current();
        let request = &self.requests[this.number()];
        let generation = self.generation.fetch_add(1, AcqRel) + 1;
        load_after_locked_instruction();
        let idle = CpuMask::from_bits(self.idle.load(Relaxed));
        let responders = others.without(idle);
        request.flush.write(flush);
        request.generation.store(generation, Relaxed);
        request.unanswered.store(responders.bits(), Relaxed);
        for responder in responders {
            let mailbox = &self.mailboxes[responder.number()];
            // Releases the request, and what others left in the mailbox, to the responder.
            if mailbox.from.fetch_or(CpuMask::of(this).bits(), AcqRel) == 0 {
                cpus.interrupt(responder);
            }
        }
        self.catch_up(cpus, this, generation, flush);
        while request.unanswered.load(Acquire) != 0 {
            cpus.pause();
        }
    }

    fn respond<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        let mailbox = &self.mailboxes[this.number()];
        if mailbox.from.load(Relaxed) == 0 {
            return;
        }
        for initiator in CpuMask::from_bits(mailbox.from.swap(0, AcqRel)) {
            let request = &self.requests[initiator.number()];
            let generation = request.generation.load(Relaxed);
            self.catch_up(cpus, this, generation, request.flush.read());
            let answer = !CpuMask::of(this).bits();
            request.unanswered.fetch_and(answer, Release);
        }
    }

    fn enter_idle<C: Cpus>(&self, cpus: &C) {
        let this = CpuMask::of(cpus.current());
        self.idle.fetch_or(this.bits(), SeqCst);
    }

    fn leave_idle<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        self.idle.fetch_and(!CpuMask::of(this).bits(), SeqCst);
        load_after_locked_instruction();
        let current = &self.mailboxes[this.number()].current;
        if current.load(Relaxed) < self.generation.load(Relaxed) {
            self.catch_up_with_all(cpus, this);
        }
    }
}
