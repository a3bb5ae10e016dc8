//! An address space that one CPU changes while another one loads it and leaves it: the real records of contexts, and a TLB that
//! keeps what it has under each PCID.

use core::cell::RefCell;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::Arc;

use super::model::thread;
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::shootdown::sync::AtomicU64;
use crate::mm::shootdown::{CpuId, Cpus, Protocol, Shootdown};
use crate::mm::tlb::{Context, Contexts, Pcid, PendingFlush, Switch, Tlb};

/// What is left out, to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    Nothing,
    /// The look at the generation after CR3 was loaded.
    SecondLook,
    /// The shootdown where the initiator has not loaded the space itself.
    Others,
}

/// PCIDs that the test uses: that of the reference table, and two.
const PCIDS: usize = 3;

/// One CPU: its interrupt line, CR3's PCID, and what its TLB has of the page under each PCID; 0 is nothing.
struct Cpu {
    bell: AtomicU64,
    pcid: AtomicU64,
    tlb: [AtomicU64; PCIDS],
}

impl Cpu {
    fn new() -> Self {
        Cpu {
            bell: AtomicU64::new(0),
            pcid: AtomicU64::new(0),
            tlb: [(); PCIDS].map(|()| AtomicU64::new(0)),
        }
    }
}

/// Two CPUs, and a space with one page, whose entry is a version, from 1.
struct Machine<P> {
    protocol: P,
    context: Context,
    entry: AtomicU64,
    /// The version that every CPU has to see.
    known: AtomicU64,
    cpus: [Cpu; 2],
    finished: AtomicU64,
    left_out: LeftOut,
}

/// What runs on one CPU.
struct OnCpu<P> {
    machine: Arc<Machine<P>>,
    number: usize,
    /// The NMI does not touch them.
    contexts: RefCell<Contexts>,
}

impl<P> OnCpu<P> {
    fn cpu(&self) -> &Cpu {
        &self.machine.cpus[self.number]
    }
}

impl<P> TlbInvalidate for OnCpu<P> {
    fn flush_pages(&self, _start: VirtAddr, _pages: u64, _size: PageSize) {
        self.flush_context();
    }

    fn flush_all(&self) {
        for place in &self.cpu().tlb {
            place.store(0, Relaxed);
        }
    }

    fn flush_context(&self) {
        let pcid = self.cpu().pcid.load(Relaxed);
        self.cpu().tlb[pcid as usize].store(0, Relaxed);
    }
}

/// The TLB of one CPU, as if there were no other.
struct Alone<'c, P>(&'c OnCpu<P>);

impl<P> TlbInvalidate for Alone<'_, P> {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        self.0.flush_pages(start, pages, size);
    }

    fn flush_all(&self) {
        self.0.flush_all();
    }
}

impl<P: Protocol> Cpus for &OnCpu<P> {
    type Local = OnCpu<P>;

    fn local(&self) -> &OnCpu<P> {
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

    fn interrupt(&self, cpu: CpuId) {
        self.machine.cpus[cpu.number()].bell.swap(1, AcqRel);
    }

    type Wait = ();

    fn pause(&self, (): &mut ()) -> bool {
        thread::yield_now();
        self.take_interrupt();
        true
    }
}

impl<P: Protocol> OnCpu<P> {
    fn take_interrupt(&self) {
        if self.cpu().bell.swap(0, AcqRel) != 0 {
            self.machine.protocol.respond(&self);
        }
    }

    /// Writes CR3. Interrupts may come before and after.
    fn load(&self, pcid: Pcid, keep: bool) {
        self.take_interrupt();
        if !keep {
            self.cpu().tlb[usize::from(pcid.0)].store(0, Relaxed);
        }
        self.cpu().pcid.store(u64::from(pcid.0), Relaxed);
        self.take_interrupt();
    }

    /// As `enter` of `cpu::address_space`.
    fn enter(&self, context: &Context) {
        let mut contexts = self.contexts.borrow_mut();
        match contexts.switch_to(context) {
            Switch::Nothing => {}
            Switch::Flush(pcid) => self.load(pcid, false),
            Switch::Keep(pcid) => {
                self.load(pcid, true);
                let look = self.machine.left_out != LeftOut::SecondLook;
                if look && contexts.changed_meanwhile(context) {
                    self.load(pcid, false);
                }
            }
        }
    }

    /// Reads the page of the space, which is loaded, and expects no version older than what was known before.
    fn read(&self) {
        self.take_interrupt();
        let known = self.machine.known.load(Acquire);
        let pcid = self.cpu().pcid.load(Relaxed);
        let place = &self.cpu().tlb[pcid as usize];
        if place.load(Relaxed) == 0 {
            place.store(self.machine.entry.load(Relaxed), Relaxed);
        }
        let seen = place.load(Relaxed);
        assert!(
            seen >= known,
            "version {seen} was read after the flush for {known}"
        );
    }

    /// Gives the page its next version, and flushes for it.
    fn remap(&self) {
        let version = self.machine.entry.load(Relaxed) + 1;
        self.machine.entry.store(version, Relaxed);
        let pending = PendingFlush::new(VirtAddr(0), 1, PageSize::Size4K);
        let pending = self.machine.context.changed(pending);
        let contexts = &mut self.contexts.borrow_mut();
        if self.machine.left_out == LeftOut::Others {
            pending.flush(contexts, &Tlb::new(Alone(self), 33));
        } else {
            let all = Shootdown::new(self, &self.machine.protocol);
            pending.flush(contexts, &Tlb::new(all, 33));
        }
        self.machine.known.store(version, Release);
    }

    /// Responds until both CPUs are through.
    fn finish(&self) {
        self.machine.finished.fetch_add(1, AcqRel);
        while self.machine.finished.load(Relaxed) < 2 {
            let _ = self.pause(&mut ());
        }
    }
}

/// One CPU changes the page, without the space being loaded there. The other one has it loaded, leaves it for another space, and
/// comes back.
pub fn switching<P: Protocol + Send + Sync + 'static>(protocol: P, left_out: LeftOut) {
    let machine = Arc::new(Machine {
        protocol,
        context: Context::new(),
        entry: AtomicU64::new(1),
        known: AtomicU64::new(1),
        cpus: [Cpu::new(), Cpu::new()],
        finished: AtomicU64::new(0),
        left_out,
    });
    let cpu = |number| OnCpu {
        machine: machine.clone(),
        number,
        contexts: RefCell::new(Contexts::new(true)),
    };
    let [initiator, switching] = [cpu(0), cpu(1)];
    let other = thread::spawn(move || {
        let away = Context::new();
        let space = &switching.machine.context;
        switching.enter(space);
        switching.read();
        switching.enter(&away);
        switching.enter(space);
        switching.read();
        switching.finish();
    });
    initiator.remap();
    initiator.finish();
    other.join().unwrap();
}
