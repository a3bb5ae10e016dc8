//! CPUs as threads, under `loom` or as they happen to run.

use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::Arc;

use crate::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::shootdown::sync::AtomicU64;
use crate::mm::shootdown::{CpuId, CpuMask, Cpus, Flush, Mailboxes, Protocol, Slot};

#[cfg(loom)]
pub use loom::thread;
#[cfg(not(loom))]
pub use std::thread;

/// Pages that are mapped, one for each CPU that may change a mapping.
const PAGES: usize = 2;

/// Mailboxes for this many CPUs.
pub fn mailboxes<const CPUS: usize>() -> Mailboxes<[Slot; CPUS]> {
    Mailboxes::new(core::array::from_fn(|_| Slot::new()))
}

/// Runs `test`, in which there are that many CPUs, in all interleavings with few preemptions, or many times.
pub fn explore<const CPUS: usize>(test: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    {
        let mut builder = loom::model::Builder::new();
        // A CPU loses its turn so often at most, but for where it waits.
        builder.preemption_bound = Some(if CPUS > 2 { 1 } else { 3 });
        builder.max_branches = 10_000;
        builder.check(test);
    }
    #[cfg(not(loom))]
    for _ in 0..if cfg!(miri) { 5 } else { 500 } {
        test();
    }
}

/// One CPU: its interrupt line, and a TLB with a place for each page. The version 0 is "not there".
struct Cpu {
    bell: AtomicU64,
    tlb: [AtomicU64; PAGES],
    flushes: AtomicU64,
}

/// CPUs with a page table of [`PAGES`] entries, whose contents are versions, from 1.
pub struct Machine<P, const CPUS: usize> {
    pub protocol: P,
    entries: [AtomicU64; PAGES],
    cpus: [Cpu; CPUS],
    /// From one CPU's number to the next one's.
    spread: usize,
    /// CPUs that are through with what they do.
    finished: AtomicU64,
    happenings: Happenings,
}

/// What a CPU may wait for: an answer, a lock, an interrupt, the end. With two CPUs a waiting one just lets the other go on,
/// so that nothing but the protocol orders their memory. More would let each other go on for ever, and the one that they wait for
/// never: so they sleep until something happens.
#[derive(Default)]
struct Happenings {
    #[cfg(loom)]
    count: loom::sync::Mutex<u64>,
    #[cfg(loom)]
    changed: loom::sync::Condvar,
}

impl Happenings {
    /// Something happened.
    fn one(&self, _cpus: usize) {
        #[cfg(loom)]
        if _cpus > 2 {
            *self.count.lock().unwrap() += 1;
            self.changed.notify_all();
        }
    }

    /// Waits until more has happened than `known`.
    fn wait(&self, _cpus: usize, _known: &core::cell::Cell<u64>) {
        #[cfg(loom)]
        if _cpus > 2 {
            let mut count = self.count.lock().unwrap();
            while *count == _known.get() {
                count = self.changed.wait(count).unwrap();
            }
            _known.set(*count);
            return;
        }
        thread::yield_now();
    }
}

impl<P: Protocol + Send + Sync + 'static, const CPUS: usize> Machine<P, CPUS> {
    pub fn new(protocol: P) -> Arc<Self> {
        Self::spread(protocol, 1)
    }

    /// CPUs whose numbers are this far apart, so that they are in different words of a set.
    pub fn spread(protocol: P, spread: usize) -> Arc<Self> {
        Arc::new(Machine {
            protocol,
            spread,
            entries: [(); PAGES].map(|()| AtomicU64::new(1)),
            cpus: core::array::from_fn(|_| Cpu {
                bell: AtomicU64::new(0),
                tlb: [(); PAGES].map(|()| AtomicU64::new(0)),
                flushes: AtomicU64::new(0),
            }),
            finished: AtomicU64::new(0),
            happenings: Happenings::default(),
        })
    }

    pub fn cpu(self: &Arc<Self>, number: usize) -> OnCpu<P, CPUS> {
        let machine = self.clone();
        OnCpu(Local { machine, number }, core::cell::Cell::new(0))
    }

    /// Flushes of this CPU so far.
    pub fn flushes(&self, number: usize) -> u64 {
        self.cpus[number].flushes.load(Relaxed)
    }

    /// Runs each CPU's part, the first on this thread, and lets each respond until all are through.
    pub fn run(self: &Arc<Self>, parts: [Part<P, CPUS>; CPUS]) {
        let mut threads = Vec::new();
        let mut first = None;
        for (number, part) in parts.into_iter().enumerate() {
            let cpu = self.cpu(number);
            let whole = move || {
                part(&cpu);
                cpu.0.machine.finished.fetch_add(1, AcqRel);
                cpu.0.machine.happenings.one(CPUS);
                while cpu.0.machine.finished.load(Relaxed) < CPUS as u64 {
                    let _ = cpu.pause(&mut ());
                }
            };
            match number {
                0 => first = Some(whole),
                _ => threads.push(thread::spawn(whole)),
            }
        }
        first.unwrap()();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// What one CPU does.
pub type Part<P, const CPUS: usize> = Box<dyn FnOnce(&OnCpu<P, CPUS>) + Send>;

/// The TLB of one CPU.
pub struct Local<P, const CPUS: usize> {
    machine: Arc<Machine<P, CPUS>>,
    number: usize,
}

impl<P, const CPUS: usize> Local<P, CPUS> {
    fn cpu(&self) -> &Cpu {
        &self.machine.cpus[self.number]
    }

    fn drop_pages(&self, pages: core::ops::Range<usize>) {
        self.cpu().flushes.fetch_add(1, Relaxed);
        for place in &self.cpu().tlb[pages] {
            place.store(0, Relaxed);
        }
    }
}

impl<P, const CPUS: usize> TlbInvalidate for Local<P, CPUS> {
    fn flush_pages(&self, start: VirtAddr, pages: u64, _size: PageSize) {
        let first = (start.0 / PAGE_SIZE) as usize;
        self.drop_pages(first..first + pages as usize);
    }

    fn flush_all(&self) {
        self.drop_pages(0..PAGES);
    }
}

/// What runs on one CPU, and how much of what happened it knows.
pub struct OnCpu<P, const CPUS: usize>(Local<P, CPUS>, core::cell::Cell<u64>);

impl<P: Protocol + Send + Sync + 'static, const CPUS: usize> OnCpu<P, CPUS> {
    pub fn machine(&self) -> &Machine<P, CPUS> {
        &self.0.machine
    }

    /// Reads a page through the TLB; gives the version that it sees.
    pub fn read(&self, page: usize) -> u64 {
        let place = &self.0.cpu().tlb[page];
        if place.load(Relaxed) == 0 {
            place.store(self.machine().entries[page].load(Relaxed), Relaxed);
        }
        place.load(Relaxed)
    }

    /// Takes the interrupt that waits, if one does.
    pub fn take_interrupt(&self) {
        if self.0.cpu().bell.swap(0, AcqRel) != 0 {
            self.machine().protocol.respond(self);
            self.machine().happenings.one(CPUS);
        }
    }

    /// Gives a page its next version, and shoots the old one down.
    pub fn remap(&self, page: usize) -> u64 {
        let flush = Flush::Pages {
            start: VirtAddr(page as u64 * PAGE_SIZE),
            pages: 1,
            size: PageSize::Size4K,
        };
        self.change(page, flush)
    }

    /// The same, with all that is known of the table that the page was mapped by.
    pub fn replace_table(&self, page: usize) -> u64 {
        self.change(page, Flush::Tables)
    }

    fn change(&self, page: usize, flush: Flush) -> u64 {
        let version = self.machine().entries[page].load(Relaxed) + 1;
        self.machine().entries[page].store(version, Relaxed);
        self.machine().protocol.shoot(self, flush);
        self.machine().happenings.one(CPUS);
        version
    }

    /// Expects that no CPU holds an older version of the page than this.
    pub fn expect_gone(&self, page: usize, version: u64) {
        for (number, cpu) in self.machine().cpus.iter().enumerate() {
            let held = cpu.tlb[page].load(Relaxed);
            assert!(
                held == 0 || held >= version,
                "CPU {number} holds version {held} of page {page} after the shootdown for version {version}"
            );
        }
    }
}

impl<P: Protocol + Send + Sync + 'static, const CPUS: usize> Cpus for OnCpu<P, CPUS> {
    type Local = Local<P, CPUS>;

    fn local(&self) -> &Self::Local {
        &self.0
    }

    fn current(&self) -> CpuId {
        CpuId::new(self.0.number * self.machine().spread).unwrap()
    }

    fn words(&self) -> usize {
        CpuId::new((CPUS - 1) * self.machine().spread)
            .unwrap()
            .word()
            + 1
    }

    fn online(&self, word: usize) -> u64 {
        let all = (0..CPUS).map(|number| CpuId::new(number * self.machine().spread).unwrap());
        all.collect::<CpuMask>().word(word)
    }

    fn interrupt(&self, cpu: CpuId) {
        let number = cpu.number() / self.machine().spread;
        self.machine().cpus[number].bell.swap(1, AcqRel);
        self.machine().happenings.one(CPUS);
    }

    type Wait = ();

    fn pause(&self, (): &mut ()) -> bool {
        self.machine().happenings.wait(CPUS, &self.1);
        self.take_interrupt();
        true
    }
}
