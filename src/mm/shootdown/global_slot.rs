//! The book's protocol, as 2.4.20 has it in arch/i386/kernel/smp.c: one lock, one slot for what is to be flushed, one mask of
//! those who still have to.
//!
//! The initiator flushes its own TLB first, takes the lock, fills the slot, interrupts every CPU of the mask and spins until
//! the last one has cleared its bit. Two initiators wait for each other, and the waiting one responds meanwhile. The slot of
//! 2.4 holds an address or "everything"; this one also holds a range, so that both protocols are asked for the same.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::cpus::{ManyWords, OneWord, Words};
use super::flush::Place;
use super::mask::members;
use super::sync::{AtomicU64, const_unless_loom};
use super::wait::{await_answers, no_lock};
use super::{Cpus, Flush, Protocol, SharedMask};

/// One lock, one slot, one mask.
pub struct GlobalSlot {
    /// The number of the CPU that has it, counted from 1; 0 if none has.
    lock: AtomicU64,
    flush: Place,
    /// Those who have not answered.
    unanswered: SharedMask,
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
                unanswered: SharedMask::new(),
            }
        }
    }

    fn lock<C: Cpus>(&self, cpus: &C) {
        let own = cpus.current().number() as u64 + 1;
        let taken = || self.lock.compare_exchange(0, own, Acquire, Relaxed);
        while taken().is_err() {
            // Of one holder each: the lock is not fair, and passes this CPU by where many want it.
            let mut wait = C::Wait::default();
            let mut known = self.lock.load(Relaxed);
            while known != 0 {
                if !cpus.pause(&mut wait) {
                    no_lock(cpus.current(), known - 1);
                }
                let holder = self.lock.load(Relaxed);
                if holder != known {
                    wait = C::Wait::default();
                }
                known = holder;
            }
        }
    }

    #[inline]
    fn shoot_in<C: Cpus, W: Words>(&self, cpus: &C, words: W, flush: Flush) {
        flush.perform(cpus.local());
        let (own_word, own_bit) = words.place(cpus.current());
        self.lock(cpus);
        self.flush.write(flush);
        // All of them before the first one is interrupted, who may answer at once.
        let mut responders = words.none();
        for (word, responders) in responders.as_mut().iter_mut().enumerate() {
            if word == words.count() {
                break;
            }
            let own = if word == own_word { own_bit } else { 0 };
            *responders = cpus.online(word) & !own;
            self.unanswered.word(word).store(*responders, Release);
        }
        for (word, &responders) in responders.as_ref().iter().enumerate() {
            members(word, responders).for_each(|responder| cpus.interrupt(responder));
        }
        await_answers(cpus, &self.unanswered, words.count());
        self.lock.store(0, Release);
    }

    #[inline]
    fn respond_in<C: Cpus, W: Words>(&self, cpus: &C, words: W) {
        let (word, bit) = words.place(cpus.current());
        let unanswered = self.unanswered.word(word);
        // Nobody else sets or clears this CPU's bit before it has answered.
        if unanswered.load(Acquire) & bit != 0 {
            self.flush.read().perform(cpus.local());
            unanswered.fetch_and(!bit, Release);
        }
    }

    #[cold]
    #[inline(never)]
    fn shoot_at_many<C: Cpus>(&self, cpus: &C, words: usize, flush: Flush) {
        self.shoot_in(cpus, ManyWords(words), flush);
    }
}

impl Protocol for GlobalSlot {
    const NAME: &'static str = "global_slot";
    const LEAVES_IDLE_ALONE: bool = false;

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
            words => self.respond_in(cpus, ManyWords(words)),
        }
    }
}
