//! Protocols with a bug each, as found in the field, which the scenarios have to find. A bug that is not found here would say
//! that the tests of the right protocols prove nothing.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::contexts::{self, LeftOut};
use super::model::{explore, mailboxes};
use super::scenarios;
use crate::mm::shootdown::sync::{AtomicU64, load_after_locked_instruction};
use crate::mm::shootdown::{CpuId, Cpus, Flush, Protocol};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// None: the scenarios pass, so that it is the bug that they find.
    None,
    /// The answer is sent, and then the flush is done.
    AnswerBeforeFlush,
    /// The initiator waits with `if`.
    WaitOnce,
    /// The last CPU is missing in the mask.
    WrongMask,
    /// The responder learns of the request before that is written.
    BellBeforeRequest,
    /// A request for which there is no room is dropped.
    DroppedWhenFull,
    /// A CPU that falls idle takes itself for current.
    CurrentWhenIdle,
    /// A CPU that is woken first looks whether it is behind, and then says that it is not idle.
    LookBeforeAwake,
}

/// A mailbox with room for one request for each of three CPUs: wholly flushes, and otherwise as simple as can be.
struct Broken {
    bug: Bug,
    generation: AtomicU64,
    idle: AtomicU64,
    from: [AtomicU64; 3],
    current: [AtomicU64; 3],
    unanswered: [AtomicU64; 3],
}

impl Broken {
    fn new(bug: Bug) -> Self {
        let words = || [(); 3].map(|()| AtomicU64::new(0));
        Broken {
            bug,
            generation: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            from: words(),
            current: words(),
            unanswered: words(),
        }
    }
}

fn bit(cpu: CpuId) -> u64 {
    1 << cpu.number()
}

fn members(set: u64) -> impl Iterator<Item = CpuId> {
    (0..3)
        .filter_map(CpuId::new)
        .filter(move |&cpu| set & bit(cpu) != 0)
}

/// All CPUs that are online, whatever word they are in.
fn all<C: Cpus>(cpus: &C) -> u64 {
    let online = (0..3).filter_map(CpuId::new);
    let online = online.filter(|cpu| cpus.online(cpu.word()) & cpu.bit() != 0);
    online.fold(0, |set, cpu| set | bit(cpu))
}

impl Protocol for Broken {
    const NAME: &'static str = "broken";
    const LEAVES_IDLE_ALONE: bool = true;

    fn shoot<C: Cpus>(&self, cpus: &C, flush: Flush) {
        let this = cpus.current();
        self.generation.fetch_add(1, AcqRel);
        load_after_locked_instruction();
        let mut responders = all(cpus) & !bit(this) & !self.idle.load(Relaxed);
        if self.bug == Bug::WrongMask {
            responders &= 1;
        }
        let unanswered = &self.unanswered[this.number()];
        unanswered.store(responders, Relaxed);
        for responder in members(responders) {
            let from = &self.from[responder.number()];
            if self.bug == Bug::BellBeforeRequest {
                cpus.interrupt(responder);
                from.fetch_or(bit(this), AcqRel);
                continue;
            }
            let before = match self.bug {
                Bug::DroppedWhenFull => from
                    .compare_exchange(0, bit(this), AcqRel, Acquire)
                    .unwrap_or_else(|full| full),
                _ => from.fetch_or(bit(this), AcqRel) & 0,
            };
            if before != 0 {
                unanswered.fetch_and(!bit(responder), Relaxed);
            }
            cpus.interrupt(responder);
        }
        flush.perform(cpus.local());
        if self.bug == Bug::WaitOnce {
            if unanswered.load(Acquire) != 0 {
                let _ = cpus.pause(&mut C::Wait::default());
            }
            return;
        }
        while unanswered.load(Acquire) != 0 {
            let _ = cpus.pause(&mut C::Wait::default());
        }
    }

    fn respond<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        let initiators = self.from[this.number()].swap(0, AcqRel);
        if self.bug != Bug::AnswerBeforeFlush && initiators != 0 {
            Flush::All.perform(cpus.local());
        }
        for initiator in members(initiators) {
            self.unanswered[initiator.number()].fetch_and(!bit(this), Release);
        }
        if self.bug == Bug::AnswerBeforeFlush && initiators != 0 {
            Flush::All.perform(cpus.local());
        }
    }

    fn enter_idle<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        let generation = self.generation.load(Acquire);
        self.idle.fetch_or(bit(this), AcqRel);
        if self.bug == Bug::CurrentWhenIdle {
            self.current[this.number()].store(generation, Relaxed);
        }
    }

    fn leave_idle<C: Cpus>(&self, cpus: &C) {
        let this = cpus.current();
        let awake = || {
            self.idle.fetch_and(!bit(this), AcqRel);
            load_after_locked_instruction();
        };
        if self.bug != Bug::LookBeforeAwake {
            awake();
        }
        let generation = self.generation.load(Acquire);
        if self.current[this.number()].load(Relaxed) < generation {
            Flush::All.perform(cpus.local());
        }
        if self.bug == Bug::LookBeforeAwake {
            awake();
        }
    }
}

/// All scenarios with this bug.
fn play(bug: Bug) {
    explore::<2>(move || scenarios::initiators::<_, 2>(Broken::new(bug), 2, 1));
    explore::<2>(move || scenarios::rounds(Broken::new(bug)));
    explore::<2>(move || scenarios::idle(Broken::new(bug)));
    explore::<3>(move || scenarios::initiators::<_, 3>(Broken::new(bug), 2, 1));
}

#[test]
fn without_a_bug_all_is_well() {
    play(Bug::None);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn an_answer_before_the_flush_is_found() {
    play(Bug::AnswerBeforeFlush);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn an_initiator_that_does_not_wait_is_found() {
    play(Bug::WaitOnce);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn a_wrong_mask_is_found() {
    play(Bug::WrongMask);
}

#[test]
#[should_panic(expected = "exceeded maximum number of branches")]
fn a_request_behind_its_bell_hangs_and_is_found() {
    play(Bug::BellBeforeRequest);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn a_request_dropped_when_the_mailbox_is_full_is_found() {
    play(Bug::DroppedWhenFull);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn a_generation_that_is_claimed_without_a_flush_is_found() {
    play(Bug::CurrentWhenIdle);
}

#[test]
#[should_panic(expected = "after the shootdown")]
fn a_look_at_the_generation_while_still_idle_is_found() {
    play(Bug::LookBeforeAwake);
}

#[test]
#[should_panic(expected = "was read after the flush")]
fn a_switch_that_does_not_look_twice_is_found() {
    explore::<2>(|| contexts::switching(mailboxes::<2>(), LeftOut::SecondLook));
}

#[test]
#[should_panic(expected = "was read after the flush")]
fn a_space_that_changes_without_a_word_to_other_cpus_is_found() {
    explore::<2>(|| contexts::switching(mailboxes::<2>(), LeftOut::Others));
}
