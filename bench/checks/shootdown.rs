//! What must hold of shootdowns on this machine: no CPU reads what a page held before, once the initiator has gone on.
//!
//! A page shows a new version each round: the number of the round is written into the frame that the page does not show, the
//! page is turned to that frame, the old translation is shot down, and the number is made known. Every CPU reads the number, then
//! the page, again and again: an older version in the page is a stale read. That this would be seen is shown by rounds without
//! a shootdown; on a machine whose TLBs forget by themselves none need be, so they are counted, not judged.

mod contexts;

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use pagemark::console::log;
use pagemark::cpu::spin::{Bound, MEASUREMENT};
use pagemark::kernel::Kernel;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::hardware::TlbInvalidate;
use pagemark::mm::shootdown::{CpuId, Cpus, Protocol, Shootdown};
use pagemark::mm::tlb::{PendingFlush, Tlb};
use pagemark::smp::tlbs::{AllCpus, GLOBAL_SLOT, mailboxes};
use pagemark::smp::work::Online;
use pagemark_record::{Notice, Record};
use spin::Mutex;

use crate::cases::shootdown::pages::{Pages, look};
use crate::harness::case::{Failure, expect_eq};
use crate::harness::run::Run;

/// Rounds of each check, unless the command line says otherwise.
const ROUNDS: u64 = 500;
/// Rounds without a shootdown.
const CONTROL_ROUNDS: u64 = 100;
/// Most CPUs that change a page of their own at once.
const MOST_INITIATORS: usize = 8;

/// Writes down every check, for both protocols. Needs other CPUs, or to be asked for.
pub fn run(machine: &mut Machine, run: &mut Run) {
    let rounds = machine.options.shootdowns.map(|rounds| rounds.0);
    if machine.processors.count() == 1 && rounds.is_none() {
        return;
    }
    let rounds = rounds.unwrap_or(ROUNDS);
    let cpus = all_cpus(machine);
    let by_slot = Shootdown::new(cpus, &GLOBAL_SLOT);
    checks(machine, run, &by_slot, name_of(&GLOBAL_SLOT), rounds);
    let by_mailbox = Shootdown::new(cpus, mailboxes());
    checks(machine, run, &by_mailbox, name_of(mailboxes()), rounds);
    let local = *cpus.local();
    let tlb = AnyTlb::new(&local, 1);
    for (what, outcome) in [
        ("", one_initiator(machine, &tlb, CONTROL_ROUNDS)),
        (
            " of a changing space",
            contexts::changing_space(machine, &tlb, CONTROL_ROUNDS),
        ),
    ] {
        match outcome {
            Ok(tally) => log::record(&Record::Notice(Notice {
                text: format_args!(
                    "without shootdowns {} of {} reads in {CONTROL_ROUNDS} rounds{what} were stale",
                    tally.stale, tally.reads
                )
                .into(),
            })),
            Err(failure) => run.check("shootdown/control", Err(failure)),
        }
    }
}

/// The TLBs that a check flushes: the same code serves all of them.
type AnyTlb<'i> = Tlb<&'i (dyn TlbInvalidate + Sync)>;

fn all_cpus(machine: &Machine) -> AllCpus {
    *machine.kernel.tlb.invalidate().cpus()
}

const fn name_of<P: Protocol>(_: &P) -> &'static str {
    P::NAME
}

fn checks(
    machine: &mut Machine,
    run: &mut Run,
    invalidate: &(dyn TlbInvalidate + Sync),
    policy: &str,
    rounds: u64,
) {
    let tlb = AnyTlb::new(invalidate, 33);
    let outcome = one_initiator(machine, &tlb, rounds).and_then(Tally::none_is_stale);
    run.check(
        format_args!("shootdown/no_stale_read/one_initiator/policy={policy}"),
        outcome,
    );
    let outcome = every_cpu_an_initiator(machine, &tlb, rounds).and_then(Tally::none_is_stale);
    run.check(
        format_args!("shootdown/no_stale_read/all_initiators/policy={policy}"),
        outcome,
    );
    let outcome = into_halt_and_out(machine, &tlb, rounds.div_ceil(8));
    run.check(
        format_args!("shootdown/no_stale_read/halted/policy={policy}"),
        outcome.and_then(Tally::none_is_stale),
    );
    let outcome = contexts::changing_space(machine, &tlb, rounds);
    run.check(
        format_args!("shootdown/no_stale_read/changing_space/policy={policy}"),
        outcome.and_then(Tally::none_is_stale),
    );
}

/// What the CPUs have read.
#[derive(Clone, Copy, Default)]
struct Tally {
    reads: u64,
    stale: u64,
}

impl Tally {
    fn none_is_stale(self) -> Result<(), Failure> {
        expect_eq!("stale reads", self.stale, 0);
        Ok(())
    }
}

/// Counts of all CPUs.
#[derive(Default)]
struct Reads {
    reads: AtomicU64,
    stale: AtomicU64,
}

impl Reads {
    /// One read of a page, whose version was made known before.
    fn read(&self, known: &AtomicU64, page: VirtAddr) {
        let known = known.load(Acquire);
        let shown = look(page);
        self.reads.fetch_add(1, Relaxed);
        if shown < known {
            self.stale.fetch_add(1, Relaxed);
        }
    }

    fn tally(&self) -> Tally {
        Tally {
            reads: self.reads.load(Relaxed),
            stale: self.stale.load(Relaxed),
        }
    }
}

/// Has the page show the version `round`, and makes that known after the flush.
fn turn(
    pages: &mut Pages,
    kernel: &Mutex<&mut Kernel>,
    tlb: &AnyTlb<'_>,
    round: u64,
    known: &AtomicU64,
) -> Result<(), Failure> {
    pages.write(1 - pages.shown(), round);
    let pending = pages.turn(&mut kernel.lock())?;
    pending.flush(tlb);
    known.store(round, Release);
    Ok(())
}

/// This CPU changes a page. The others read it, and every second one shoots at a page of its own between two reads.
fn one_initiator(machine: &mut Machine, tlb: &AnyTlb<'_>, rounds: u64) -> Result<Tally, Failure> {
    let start = machine.layout.scratch.start;
    let mut pages = Pages::new(&mut machine.kernel, machine.direct_map, start, 1)?;
    let kernel = Mutex::new(&mut machine.kernel);
    let (reads, known) = (Reads::default(), AtomicU64::new(0));
    let over = AtomicU64::new(0);
    let respond = |cpu: CpuId| {
        let mut bound = Bound::new(MEASUREMENT);
        while over.load(Relaxed) == 0 && bound.spin() {
            reads.read(&known, start);
            if cpu.number().is_multiple_of(2) {
                let own = VirtAddr(start.0 + (4096 + cpu.number() as u64) * PAGE_SIZE);
                PendingFlush::new(own, 1, PageSize::Size4K).flush(tlb);
            }
        }
    };
    let all = machine.processors.others().clone();
    let outcome = machine.processors.online(&all, |online| {
        online.run_on_all(&respond, || {
            let outcome = (1..=rounds).try_for_each(|round| {
                turn(&mut pages, &kernel, tlb, round, &known)?;
                reads.read(&known, start);
                // The others have their turn where CPUs take turns.
                spin_loop();
                Ok(())
            });
            over.store(1, Relaxed);
            outcome
        })
    });
    pages.end(&mut machine.kernel)?;
    outcome.map(|()| reads.tally())
}

/// Every CPU changes a page of its own, all at once, and reads those of all others.
fn every_cpu_an_initiator(
    machine: &mut Machine,
    tlb: &AnyTlb<'_>,
    rounds: u64,
) -> Result<Tally, Failure> {
    let all = machine.processors.first(MOST_INITIATORS - 1);
    let count = all.count() + 1;
    let page = |number: usize| VirtAddr(machine.layout.scratch.start.0 + number as u64 * PAGE_SIZE);
    let mut own: [Option<Mutex<Pages>>; MOST_INITIATORS] = [const { None }; MOST_INITIATORS];
    for (number, own) in own.iter_mut().enumerate().take(count) {
        let (kernel, direct_map) = (&mut machine.kernel, machine.direct_map);
        *own = Some(Mutex::new(Pages::new(kernel, direct_map, page(number), 1)?));
    }
    let kernel = Mutex::new(&mut machine.kernel);
    let reads = Reads::default();
    let known = [const { AtomicU64::new(0) }; MOST_INITIATORS];
    let (through, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let read_all = || {
        for (number, known) in known.iter().enumerate().take(count) {
            reads.read(known, page(number));
        }
        spin_loop();
    };
    let each = |cpu: CpuId| {
        for round in 1..=rounds {
            let own = own[cpu.number()].as_ref();
            let turned = own.map(|own| {
                let known = &known[cpu.number()];
                turn(&mut own.lock(), &kernel, tlb, round, known)
            });
            failed.fetch_add(u64::from(!matches!(turned, Some(Ok(())))), Relaxed);
            read_all();
        }
        through.fetch_add(1, Relaxed);
        let mut bound = Bound::new(MEASUREMENT);
        while through.load(Relaxed) < count as u64 && bound.spin() {
            read_all();
        }
    };
    machine.processors.online(&all, |online| {
        online.run_on_all(&each, || each(CpuId::BOOT));
    });
    for own in own.into_iter().flatten() {
        own.into_inner().end(&mut machine.kernel)?;
    }
    expect_eq!("pages that could not be changed", failed.into_inner(), 0);
    Ok(reads.tally())
}

/// The others read the page, go into HLT, and read it again when they are woken; this CPU changes it while they sleep.
fn into_halt_and_out(
    machine: &mut Machine,
    tlb: &AnyTlb<'_>,
    rounds: u64,
) -> Result<Tally, Failure> {
    let start = machine.layout.scratch.start;
    let mut pages = Pages::new(&mut machine.kernel, machine.direct_map, start, 1)?;
    let kernel = Mutex::new(&mut machine.kernel);
    let (reads, known) = (Reads::default(), AtomicU64::new(0));
    let all = machine.processors.others().clone();
    let wake_and_read = |online: &Online| {
        online.run_on_all(&|_| reads.read(&known, start), || {
            reads.read(&known, start);
        });
    };
    let outcome = machine.processors.online(&all, |online| {
        (1..=rounds).try_for_each(|round| {
            wake_and_read(online);
            turn(&mut pages, &kernel, tlb, round, &known)?;
            wake_and_read(online);
            Ok(())
        })
    });
    pages.end(&mut machine.kernel)?;
    outcome.map(|()| reads.tally())
}
