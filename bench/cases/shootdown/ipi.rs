//! The round trip of an interrupt: an NMI to one CPU, until its handler is through.

use core::hint::spin_loop;
use core::sync::atomic::Ordering::Acquire;

use pagemark::cpu::per_cpu::PerCpu;
use pagemark::machine::Machine;
use pagemark::mm::shootdown::{CpuId, Cpus};
use pagemark::smp::tlbs::AllCpus;

use super::ALONE;
use super::responders::{Responders, State};
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

struct RoundTrip {
    cpus: AllCpus,
    to: CpuId,
}

impl Case for RoundTrip {
    fn operation(&mut self) {
        let answered = PerCpu::of(self.to).answered();
        let before = answered.load(Acquire);
        self.cpus.interrupt(self.to);
        while answered.load(Acquire) == before {
            spin_loop();
        }
    }

    fn batch(&self) -> u32 {
        16
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
                || run.measure(name, &mut RoundTrip { cpus, to }),
            );
        });
    }
}
