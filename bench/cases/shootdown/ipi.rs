//! The round trip of an interrupt: an NMI, or an interrupt by vector, to one CPU, until its handler is through.
//!
//! The handler of the NMI also looks for shootdowns that this CPU is asked for; that of the vector also ends the interrupt at the APIC.

use core::cell::Cell;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use arrayvec::ArrayString;
use pagemark::console::log;
use pagemark::cpu::per_cpu::PerCpu;
use pagemark::cpu::spin::spin_until;
use pagemark::machine::Machine;
use pagemark::mm::address::VirtAddr;
use pagemark::mm::shootdown::{CpuId, Cpus};
use pagemark::smp::tlbs::AllCpus;
use pagemark::smp::vector;
use pagemark::smp::work::Online;
use pagemark_record::{Notice, Record};

use super::ALONE;
use super::responders::{Responders, State, await_hlt};
use super::selection::{NOBODY, Selections};
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Nmi,
    Vector,
}

/// Proofs until one finds the other CPU in HLT: a hypervisor may take the CPU away just before.
const TRIES: u32 = 8;

struct RoundTrip<'t> {
    cpus: AllCpus,
    to: CpuId,
    by: By,
    /// The other CPU waits in HLT: it has to get there again after each answer, and so no interrupt can follow on another.
    halted: bool,
    /// An answer has not come.
    silent: bool,
    /// Interrupts that were to find the other CPU in HLT by now, and those that did.
    tally: &'t Tally,
}

/// Interrupts to a CPU in HLT.
#[derive(Default)]
struct Tally {
    sent: Cell<u64>,
    woke: Cell<u64>,
    /// How many had found the CPU in HLT before the last one.
    before: Cell<u64>,
}

impl RoundTrip<'_> {
    fn woken(&self) -> u64 {
        PerCpu::of(self.to).woken().load(Acquire)
    }
}

impl Case for RoundTrip<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        if self.halted {
            await_hlt(self.to)?;
            self.tally.before.set(self.woken());
        }
        Ok(())
    }

    fn operation(&mut self) {
        let answered = PerCpu::of(self.to).answered();
        let before = answered.load(Acquire);
        match self.by {
            By::Nmi => self.cpus.interrupt(self.to),
            By::Vector => vector::send(self.to),
        }
        self.silent |= !spin_until(|| answered.load(Acquire) != before);
    }

    fn batch(&self) -> u32 {
        if self.halted { 1 } else { 16 }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        expect_eq!("an interrupt without an answer", self.silent, false);
        if self.halted {
            let tally = self.tally;
            tally.sent.set(tally.sent.get() + 1);
            let woke = u64::from(self.woken() != tally.before.get());
            tally.woke.set(tally.woke.get() + woke);
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let answered = PerCpu::of(self.to).answered();
        let mut found = [0, 0];
        for _ in 0..TRIES {
            self.prepare()?;
            let before = [answered.load(Acquire), self.woken()];
            perform(self);
            let after = [answered.load(Acquire), self.woken()];
            found = [after[0] - before[0], after[1] - before[1]];
            expect_eq!("interrupts that were answered", found[0], 1);
            if !self.halted || found[1] == 1 {
                break;
            }
        }
        expect_eq!(
            "interrupts that found the CPU in HLT",
            found[1],
            u64::from(self.halted)
        );
        Ok(())
    }
}

/// One measurement.
#[derive(Clone, Copy)]
struct Shape<'n> {
    name: &'n str,
    by: By,
    state: State,
}

/// Measures the round trip to the one CPU that is online.
fn measure(online: &Online, cpus: AllCpus, to: CpuId, run: &mut Run, shape: Shape<'_>) {
    let Shape { name, by, state } = shape;
    let halted = state == State::Halted;
    let tally = Tally::default();
    let mut case = RoundTrip {
        cpus,
        to,
        by,
        halted,
        silent: false,
        tally: &tally,
    };
    match by {
        By::Nmi => {
            // Nobody is asked to look at a page.
            let nowhere = [VirtAddr(0); 2];
            Responders::new(online, state).with(nowhere, |_| (), || run.measure(name, &mut case));
        }
        By::Vector => {
            let (over, ready) = (AtomicU64::new(0), AtomicU64::new(0));
            let receive = |_| vector::receive(halted, &over, &ready);
            online.run_on_all(&receive, || {
                if spin_until(|| ready.load(Acquire) != 0) {
                    run.measure(name, &mut case);
                } else {
                    let deaf = format_args!("CPU {to} does not let interrupts in");
                    run.check(name, Err(Failure::new(deaf)));
                }
                // In HLT it looks after an interrupt alone, and takes none once it has looked.
                let waits = halted && await_hlt(to).is_ok();
                over.store(1, Release);
                if waits {
                    vector::send(to);
                }
            });
        }
    }
    let (sent, woke) = (tally.sent.get(), tally.woke.get());
    if halted && woke < sent {
        log::record(&Record::Notice(Notice {
            text: format_args!(
                "{name}: {} of {sent} interrupts found CPU {to} out of HLT",
                sent - woke
            )
            .into(),
        }));
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run, selections: &Selections) {
    let cpus = *machine.kernel.tlb.invalidate().cpus();
    let first = (None, selections.numbers().next());
    let distances = selections.distances();
    let distances = distances.map(|(distance, there)| (Some(distance), there));
    for (distance, there) in core::iter::once(first).chain(distances) {
        for (by, state) in [
            (By::Nmi, State::Halted),
            (By::Nmi, State::Spinning),
            (By::Vector, State::Halted),
            (By::Vector, State::Spinning),
        ] {
            let mut name = ArrayString::<96>::new();
            // A name that does not fit is refused by the harness.
            let _ = write!(name, "ipi/round_trip/state={}", state.name());
            if by == By::Vector {
                name.push_str("/by=vector");
            }
            if let Some(distance) = distance {
                let _ = write!(name, "/responders={}", distance.name());
            }
            let Some(there) = &there else {
                match distance {
                    None => run.skip(&name, ALONE),
                    Some(_) if selections.is_empty() => {}
                    Some(_) => run.skip(&name, NOBODY),
                }
                continue;
            };
            if !run.would(&name) {
                continue;
            }
            let name = &*name;
            let on = there.cpus(machine);
            machine.processors.online(&on, |online| {
                for to in online.cpus() {
                    measure(online, cpus, to, run, Shape { name, by, state });
                }
            });
        }
    }
}
