//! Today's protocol, after what Linux has since 4.14 and 5.13 (arch/x86/mm/tlb.c, kernel/smp.c): no lock, initiators that do
//! not wait for each other, local flushes while the remote ones are under way, and no flush twice.
//!
//! Each CPU has a mailbox, a mask of those who ask it for a flush. What they ask for lies with them: an initiator waits for the
//! answers before it asks for the next thing, so a bit for each is room enough, and no mailbox can ever be full. Whoever puts
//! the first bit into an empty mailbox rings the bell; the others know that it is about to ring, or has rung unheard. With more
//! CPUs than a word has bits this holds of each word: the responder looks at all of them whenever a bell rings.
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
//! Idle is about leaves alone. Where tables themselves are freed ([`Flush::Tables`]), an idle CPU is asked like any other before
//! they are used for something else, as it may walk them ahead of what it executes.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::cpus::{ManyWords, OneWord, Words};
use super::flush::Place;
use super::mask::members;
use super::sync::{AtomicU64, const_unless_loom, load_after_locked_instruction};
use super::wait::await_answers;
use super::{CpuId, Cpus, Flush, Protocol, SharedMask};

/// What one CPU asks the others for. It has cache lines of its own, as all of them write to it.
#[repr(align(64))]
struct Request {
    flush: Place,
    generation: AtomicU64,
    /// Those who have not answered.
    unanswered: SharedMask,
}

/// What one CPU is asked for.
#[repr(align(64))]
struct Mailbox {
    /// The generation up to which this CPU's TLB is current. Only this CPU writes to it.
    current: AtomicU64,
    /// Those who ask. Each word is a mailbox by itself, with a bell of its own.
    from: SharedMask,
}

/// What the protocol keeps for one CPU: its request, and its mailbox.
pub struct Slot {
    request: Request,
    mailbox: Mailbox,
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    const_unless_loom! {
        /// Nothing is asked for.
        #[must_use]
        pub fn new() -> Self {
            Slot {
                request: Request {
                    flush: Place::new(),
                    generation: AtomicU64::new(0),
                    unanswered: SharedMask::new(),
                },
                mailbox: Mailbox {
                    current: AtomicU64::new(0),
                    from: SharedMask::new(),
                },
            }
        }
    }
}

/// Mailboxes for as many CPUs as there are slots.
pub struct Mailboxes<S = &'static [Slot]> {
    generation: AtomicU64,
    idle: SharedMask,
    slots: S,
}

impl<S: AsRef<[Slot]>> Mailboxes<S> {
    const_unless_loom! {
        /// Nobody is idle, and everybody is current. The slots are new, one for each CPU by its number.
        #[must_use]
        pub fn new(slots: S) -> Self {
            Mailboxes {
                generation: AtomicU64::new(0),
                idle: SharedMask::new(),
                slots,
            }
        }
    }

    /// Whether a CPU is idle, so that it is left alone.
    #[inline]
    #[must_use]
    pub fn is_idle(&self, cpu: CpuId) -> bool {
        self.idle.word(cpu.word()).load(Relaxed) & cpu.bit() != 0
    }

    #[inline]
    fn slot(&self, cpu: CpuId) -> &Slot {
        &self.slots.as_ref()[cpu.number()]
    }

    /// Brings this CPU's TLB up to `generation`, which the flush belongs to.
    #[inline]
    fn catch_up<C: Cpus>(&self, cpus: &C, mailbox: &Mailbox, generation: u64, flush: Flush) {
        let reached = mailbox.current.load(Relaxed);
        if reached >= generation {
            return;
        }
        if reached + 1 == generation {
            flush.perform(cpus.local());
            mailbox.current.store(generation, Relaxed);
        } else {
            self.catch_up_with_all(cpus, mailbox);
        }
    }

    fn catch_up_with_all<C: Cpus>(&self, cpus: &C, mailbox: &Mailbox) {
        // Before the flush: what changes after it may be in the TLB again.
        let generation = self.generation.load(Acquire);
        Flush::All.perform(cpus.local());
        mailbox.current.store(generation, Relaxed);
    }

    #[inline]
    fn shoot_in<C: Cpus, W: Words>(&self, cpus: &C, words: W, flush: Flush) {
        let this = cpus.current();
        let (own_word, own_bit) = words.place(this);
        let slot = self.slot(this);
        let request = &slot.request;
        let generation = self.generation.fetch_add(1, AcqRel) + 1;
        load_after_locked_instruction();
        request.flush.write(flush);
        request.generation.store(generation, Relaxed);
        // All of them before the first one is asked, who may answer at once.
        let mut responders = words.none();
        for (word, responders) in responders.as_mut().iter_mut().enumerate() {
            if word == words.count() {
                break;
            }
            let own = if word == own_word { own_bit } else { 0 };
            let idle = match flush {
                Flush::Tables => 0,
                _ => self.idle.word(word).load(Relaxed),
            };
            *responders = cpus.online(word) & !own & !idle;
            request.unanswered.word(word).store(*responders, Relaxed);
        }
        for (word, &responders) in responders.as_ref().iter().enumerate() {
            for responder in members(word, responders) {
                let from = self.slot(responder).mailbox.from.word(own_word);
                // Releases the request, and what others left in the mailbox, to the responder.
                if from.fetch_or(own_bit, AcqRel) == 0 {
                    cpus.interrupt(responder);
                }
            }
        }
        self.catch_up(cpus, &slot.mailbox, generation, flush);
        await_answers(cpus, &request.unanswered, words.count());
    }

    #[inline]
    fn respond_in<C: Cpus, W: Words>(&self, cpus: &C, words: W) {
        let this = cpus.current();
        let (own_word, own_bit) = words.place(this);
        let mailbox = &self.slot(this).mailbox;
        for word in 0..words.count() {
            let from = mailbox.from.word(word);
            if from.load(Relaxed) == 0 {
                continue;
            }
            for initiator in members(word, from.swap(0, AcqRel)) {
                let request = &self.slot(initiator).request;
                let generation = request.generation.load(Relaxed);
                self.catch_up(cpus, mailbox, generation, request.flush.read());
                let unanswered = request.unanswered.word(own_word);
                unanswered.fetch_and(!own_bit, Release);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn shoot_at_many<C: Cpus>(&self, cpus: &C, words: usize, flush: Flush) {
        self.shoot_in(cpus, ManyWords(words), flush);
    }

    #[cold]
    #[inline(never)]
    fn respond_to_many<C: Cpus>(&self, cpus: &C, words: usize) {
        self.respond_in(cpus, ManyWords(words));
    }
}

impl<S: AsRef<[Slot]>> Protocol for Mailboxes<S> {
    const NAME: &'static str = "mailboxes";
    const LEAVES_IDLE_ALONE: bool = true;

    #[inline]
    fn shoot<C: Cpus>(&self, cpus: &C, flush: Flush) {
        match cpus.words() {
            1 => self.shoot_in(cpus, OneWord, flush),
            words => self.shoot_at_many(cpus, words, flush),
        }
    }

    #[inline]
    fn respond<C: Cpus>(&self, cpus: &C) {
        match cpus.words() {
            1 => self.respond_in(cpus, OneWord),
            words => self.respond_to_many(cpus, words),
        }
    }

    fn enter_idle<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        self.idle.word(this.word()).fetch_or(this.bit(), SeqCst);
    }

    fn leave_idle<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        self.idle.word(this.word()).fetch_and(!this.bit(), SeqCst);
        load_after_locked_instruction();
        let mailbox = &self.slot(this).mailbox;
        if mailbox.current.load(Relaxed) < self.generation.load(Relaxed) {
            self.catch_up_with_all(cpus, mailbox);
        }
    }
}
