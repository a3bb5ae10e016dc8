//! When an answer may be sent, and what for: with TLBs that take their time, so that no lucky interleaving hides a fault.

use core::cell::{Cell, RefCell};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::thread;
use std::vec::Vec;

use super::model::mailboxes;
use crate::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::shootdown::{CpuId, Cpus, Flush, GlobalSlot, Protocol, Shootdown};

const ONE: Flush = Flush::Pages {
    start: VirtAddr(0x5000),
    pages: 1,
    size: PageSize::Size4K,
};

/// What both CPUs share: the bell of the responder, and how far each is.
struct Shared<P> {
    protocol: P,
    bell: AtomicBool,
    flushed: AtomicBool,
    returned: AtomicBool,
}

struct OnCpu<P> {
    number: usize,
    shared: Arc<Shared<P>>,
}

impl<P> TlbInvalidate for OnCpu<P> {
    fn flush_pages(&self, _: VirtAddr, _: u64, _: PageSize) {
        self.flush_all();
    }

    fn flush_all(&self) {
        if self.number == 1 {
            for _ in 0..200 {
                thread::yield_now();
                let returned = self.shared.returned.load(SeqCst);
                assert!(!returned, "the initiator goes on during the flush");
            }
            self.shared.flushed.store(true, SeqCst);
        }
    }
}

impl<P: Protocol> Cpus for OnCpu<P> {
    type Local = Self;

    fn local(&self) -> &Self {
        self
    }

    fn current(&self) -> CpuId {
        CpuId::new(self.number).unwrap()
    }

    fn words(&self) -> usize {
        1
    }

    fn online(&self, word: usize) -> u64 {
        if word == 0 { 0b11 } else { 0 }
    }

    fn interrupt(&self, _: CpuId) {
        self.shared.bell.store(true, SeqCst);
    }

    type Wait = ();

    fn pause(&self, (): &mut ()) -> bool {
        thread::yield_now();
        true
    }
}

fn the_answer_comes_after_the_flush<P: Protocol + Send + Sync + 'static>(protocol: impl Fn() -> P) {
    for flush in [ONE, Flush::Context, Flush::All, Flush::Tables] {
        let shared = Arc::new(Shared {
            protocol: protocol(),
            bell: AtomicBool::new(false),
            flushed: AtomicBool::new(false),
            returned: AtomicBool::new(false),
        });
        let responder = OnCpu {
            number: 1,
            shared: shared.clone(),
        };
        let thread = thread::spawn(move || {
            while !responder.shared.bell.load(SeqCst) {
                thread::yield_now();
            }
            responder.shared.protocol.respond(&responder);
        });
        let initiator = OnCpu { number: 0, shared };
        let shared = &initiator.shared;
        shared.protocol.shoot(&initiator, flush);
        shared.returned.store(true, SeqCst);
        assert!(shared.flushed.load(SeqCst), "{flush:?}");
        thread.join().unwrap();
    }
}

#[test]
fn global_slot_the_answer_comes_after_the_flush() {
    the_answer_comes_after_the_flush(GlobalSlot::new);
}

#[test]
fn mailboxes_the_answer_comes_after_the_flush() {
    the_answer_comes_after_the_flush(mailboxes::<2>);
}

/// Two CPUs on one thread: an interrupt is taken at once.
struct Recorder<P> {
    protocol: P,
    /// Whose turn it is.
    turn: RefCell<usize>,
    /// What each TLB was asked to drop.
    asked: RefCell<[Vec<Flush>; 2]>,
    /// Done once, during the next flush of everything on CPU 1, and without a word to it.
    meanwhile: RefCell<Option<Flush>>,
    alone: Cell<bool>,
    /// No interrupt comes through.
    deaf: Cell<bool>,
}

impl<P: Protocol> Recorder<P> {
    fn new(protocol: P) -> Self {
        Recorder {
            protocol,
            turn: RefCell::new(0),
            asked: RefCell::default(),
            meanwhile: RefCell::default(),
            alone: Cell::new(false),
            deaf: Cell::new(false),
        }
    }

    /// Runs `work` on a CPU.
    fn on<R>(&self, cpu: usize, work: impl FnOnce(&Self) -> R) -> R {
        let before = self.turn.replace(cpu);
        let result = work(self);
        self.turn.replace(before);
        result
    }

    fn take(&self) -> [Vec<Flush>; 2] {
        self.asked.take()
    }

    fn note(&self, flush: Flush) {
        let cpu = *self.turn.borrow();
        self.asked.borrow_mut()[cpu].push(flush);
    }
}

impl<P: Protocol> TlbInvalidate for Recorder<P> {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        self.note(Flush::Pages { start, pages, size });
    }

    fn flush_all(&self) {
        self.note(Flush::All);
        if *self.turn.borrow() == 1
            && let Some(flush) = self.meanwhile.take()
        {
            self.alone.set(true);
            self.on(0, |cpus| cpus.protocol.shoot(cpus, flush));
            self.alone.set(false);
        }
    }

    fn flush_context(&self) {
        self.note(Flush::Context);
    }
}

impl<P: Protocol> Cpus for Recorder<P> {
    type Local = Self;

    fn local(&self) -> &Self {
        self
    }

    fn current(&self) -> CpuId {
        CpuId::new(*self.turn.borrow()).unwrap()
    }

    fn words(&self) -> usize {
        1
    }

    fn online(&self, word: usize) -> u64 {
        let alone = word > 0 || self.alone.get();
        if alone { 0 } else { 0b11 }
    }

    fn interrupt(&self, cpu: CpuId) {
        if !self.deaf.get() {
            self.on(cpu.number(), |cpus| cpus.protocol.respond(cpus));
        }
    }

    type Wait = ();

    fn pause(&self, (): &mut ()) -> bool {
        false
    }
}

impl<P: Protocol> Cpus for &Recorder<P> {
    type Local = Recorder<P>;

    fn local(&self) -> &Recorder<P> {
        self
    }

    fn current(&self) -> CpuId {
        Recorder::current(self)
    }

    fn words(&self) -> usize {
        Recorder::words(self)
    }

    fn online(&self, word: usize) -> u64 {
        Recorder::online(self, word)
    }

    fn interrupt(&self, cpu: CpuId) {
        Recorder::interrupt(self, cpu);
    }

    type Wait = ();

    fn pause(&self, wait: &mut ()) -> bool {
        Recorder::pause(self, wait)
    }
}

fn nobody_answers<P: Protocol>(protocol: P) {
    let recorder = Recorder::new(protocol);
    recorder.deaf.set(true);
    recorder.protocol.shoot(&recorder, ONE);
}

#[test]
#[should_panic = "CPU 0 waits for CPU 1 to answer a shootdown"]
fn global_slot_a_cpu_that_does_not_answer_is_named() {
    nobody_answers(GlobalSlot::new());
}

#[test]
#[should_panic = "CPU 0 waits for CPU 1 to answer a shootdown"]
fn mailboxes_a_cpu_that_does_not_answer_is_named() {
    nobody_answers(mailboxes::<2>());
}

#[test]
#[should_panic = "CPU 1 waits for the lock of the shootdown slot, which CPU 0 does not release"]
fn the_holder_of_a_lock_that_is_not_released_is_named() {
    let recorder = Recorder::new(GlobalSlot::new());
    recorder.deaf.set(true);
    // It panics with the lock held, as one that has died would have it.
    let first = std::panic::AssertUnwindSafe(|| recorder.protocol.shoot(&recorder, ONE));
    std::panic::catch_unwind(first).unwrap_err();
    recorder.on(1, |cpus| cpus.protocol.shoot(cpus, ONE));
}

/// Each CPU drops exactly what it is asked to: the whole range, in pages of its size.
fn both_drop_what_is_asked<P: Protocol>(protocol: P) {
    let recorder = Recorder::new(protocol);
    let all =
        |expected: Flush| assert_eq!(recorder.take(), [[expected], [expected]].map(Vec::from));
    for size in [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G] {
        for pages in [1, 2, 33, 1 << 20] {
            for start in [
                0,
                0xffff_8000_0000_0000,
                0u64.wrapping_sub(pages * PAGE_SIZE),
            ] {
                let start = VirtAddr(start);
                let flush = Flush::Pages { start, pages, size };
                recorder.protocol.shoot(&recorder, flush);
                all(flush);
                Shootdown::new(&recorder, &recorder.protocol).flush_pages(start, pages, size);
                all(flush);
            }
        }
    }
    let tlb = Shootdown::new(&recorder, &recorder.protocol);
    tlb.flush_context();
    all(Flush::Context);
    tlb.flush_all();
    all(Flush::All);
    tlb.flush_tables();
    all(Flush::All);
    assert!(tlb.reaches_others());
}

#[test]
fn global_slot_both_cpus_drop_what_is_asked() {
    both_drop_what_is_asked(GlobalSlot::new());
}

#[test]
fn mailboxes_both_cpus_drop_what_is_asked() {
    both_drop_what_is_asked(mailboxes::<2>());
}

/// An idle CPU is asked for tables, and for nothing else.
#[test]
fn an_idle_cpu_is_asked_when_tables_leave_the_tree() {
    let recorder = Recorder::new(mailboxes::<2>());
    recorder.on(1, |cpus| cpus.protocol.enter_idle(cpus));
    let tlb = Shootdown::new(&recorder, &recorder.protocol);
    for (number, flush) in [Flush::All, Flush::Context, ONE].into_iter().enumerate() {
        match number {
            0 => tlb.flush_all(),
            1 => tlb.flush_context(),
            _ => tlb.flush_pages(VirtAddr(0x5000), 1, PageSize::Size4K),
        }
        assert_eq!(recorder.take(), [Vec::from([flush]), Vec::new()]);
    }
    tlb.flush_tables();
    assert_eq!(recorder.take(), [[Flush::All], [Flush::All]].map(Vec::from));
    // It has caught up, and nothing is left to do.
    recorder.on(1, |cpus| cpus.protocol.leave_idle(cpus));
    assert_eq!(recorder.take(), [const { Vec::new() }; 2]);
}

/// What changes while a CPU flushes everything may be in its TLB again: it is not current with that.
#[test]
fn a_change_during_the_flush_is_not_caught_up_with() {
    let recorder = Recorder::new(mailboxes::<2>());
    let nap = || {
        recorder.on(1, |cpus| cpus.protocol.enter_idle(cpus));
        recorder.on(1, |cpus| cpus.protocol.leave_idle(cpus));
        let [_, asked] = recorder.take();
        asked
    };
    recorder.on(1, |cpus| cpus.protocol.enter_idle(cpus));
    recorder.protocol.shoot(&recorder, ONE);
    recorder.meanwhile.replace(Some(ONE));
    recorder.on(1, |cpus| cpus.protocol.leave_idle(cpus));
    assert_eq!(recorder.take()[1], [Flush::All]);
    assert_eq!(nap(), [Flush::All]);
    assert_eq!(nap(), []);
}
