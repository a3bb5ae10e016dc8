//! The round trip of an interrupt: an NMI to one CPU, until its handler is through.

use core::hint::spin_loop;
use core::sync::atomic::Ordering::Acquire;

use pagemark::cpu::per_cpu::PerCpu;
use pagemark::cpu::spin::spin_until;
use pagemark::machine::Machine;
use pagemark::mm::shootdown::{CpuId, Cpus};
use pagemark::smp::tlbs::AllCpus;

use super::ALONE;
use super::responders::{Responders, State};
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

/// Turns of a loop of PAUSE after which a CPU that has answered waits in HLT again: its handler returns within some dozens.
const UNTIL_HALTED: u32 = 2_000;

struct RoundTrip {
    cpus: AllCpus,
    to: CpuId,
    /// The other CPU waits in HLT: it has to get there again after each answer, and so no interrupt can follow on another.
    halted: bool,
    /// An answer has not come.
    silent: bool,
}

impl Case for RoundTrip {
    fn prepare(&mut self) -> Result<(), Failure> {
        if self.halted {
            for _ in 0..UNTIL_HALTED {
                spin_loop();
            }
        }
        Ok(())
    }

    fn operation(&mut self) {
        let answered = PerCpu::of(self.to).answered();
        let before = answered.load(Acquire);
        self.cpus.interrupt(self.to);
        self.silent |= !spin_until(|| answered.load(Acquire) != before);
    }

    fn batch(&self) -> u32 {
        if self.halted { 1 } else { 16 }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        expect_eq!("an NMI without an answer", self.silent, false);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let answered = PerCpu::of(self.to).answered();
        let before = answered.load(Acquire);
        perform(self);
        let after = answered.load(Acquire);
        expect_eq!("NMIs that were answered", after - before, 1);
        Ok(())
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for (name, state) in [
        ("ipi/round_trip/state=halted", State::Halted),
        ("ipi/round_trip/state=spinning", State::Spinning),
    ] {
        let on = machine.processors.first(1);
        let Some(to) = (&on).into_iter().next() else {
            run.skip(name, ALONE);
            continue;
        };
        let cpus = *machine.kernel.tlb.invalidate().cpus();
        // Any page that stays mapped: nobody is asked to look at it.
        let page = machine.layout.direct_map.start;
        machine.processors.online(&on, |online| {
            let responders = Responders::new(online, state);
            responders.with(
                [page; 2],
                |_| (),
                || {
                    let halted = state == State::Halted;
                    let mut case = RoundTrip {
                        cpus,
                        to,
                        halted,
                        silent: false,
                    };
                    run.measure(name, &mut case);
                },
            );
        });
    }
}
