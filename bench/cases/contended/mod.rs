//! The allocators with several CPUs at them at once.
//!
//! Each CPU pauses between two operations; where CPUs take turns, as under QEMU's `-icount`, it is there that the next one has
//! its turn, so that they meet at a lock only where its holder waits for something, as a purge does.
//!
//! The same operations, spread over more and more CPUs: what one figure has more than that of one CPU is what sharing costs. On
//! a clock that counts instructions it is the sum of what all CPUs execute, their waiting included. A notice shows how fair it was:
//! what the others got done while the fastest did a given number.

mod buddy;
mod vmalloc;

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pagemark::console::log;
use pagemark::cpu::per_cpu::PerCpu;
use pagemark::machine::Machine;
use pagemark::mm::shootdown::CpuId;
use pagemark::smp::work::Online;
use pagemark_record::{Notice, Record};

use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::{Run, Tier};

/// Operations of a sample, by all CPUs together.
const OPERATIONS: u64 = 960;
/// Operations of the fastest CPU in a measurement of fairness.
const FASTEST: u64 = 1000;

/// Something that each CPU does again and again: one operation of this CPU, `false` if it failed.
trait Work: Fn(CpuId) -> bool + Sync {}

impl<W: Fn(CpuId) -> bool + Sync> Work for W {}

/// [`OPERATIONS`] by all CPUs that are online and this one.
struct Shared<'w, W> {
    online: &'w Online,
    work: &'w W,
    each: u64,
    done: AtomicU64,
}

impl<W: Work> Case for Shared<'_, W> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.done.store(0, Relaxed);
        Ok(())
    }

    fn operation(&mut self) {
        let each = |cpu: CpuId| {
            let mut done = 0;
            for _ in 0..self.each {
                done += u64::from((self.work)(cpu));
                spin_loop();
            }
            self.done.fetch_add(done, Relaxed);
        };
        self.online.run_on_all(&each, || each(CpuId::BOOT));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.done.store(0, Relaxed);
        perform(self);
        let expected = self.each * (self.online.cpus().count() as u64 + 1);
        expect_eq!(
            "operations that succeeded",
            self.done.load(Relaxed),
            expected
        );
        Ok(())
    }
}

/// Measures `work` on the CPUs that are online and this one, and how fair it is.
fn measure<W: Work>(online: &Online, run: &mut Run, name: &str, work: &W) {
    let cpus = online.cpus().count() as u64 + 1;
    let mut case = Shared {
        online,
        work,
        each: (OPERATIONS / cpus).max(1),
        done: AtomicU64::new(0),
    };
    run.measure(name, &mut case);
    if cpus > 1 && run.is_first_pass() {
        note_fairness(online, name, work);
    }
}

/// Lets all CPUs go until one has done [`FASTEST`] operations.
fn note_fairness<W: Work>(online: &Online, name: &str, work: &W) {
    let count_of = |cpu: CpuId| &PerCpu::of(cpu).notes()[0];
    let all_cpus = online.cpus().clone().with(CpuId::BOOT);
    for cpu in &all_cpus {
        count_of(cpu).store(0, Relaxed);
    }
    let over = AtomicBool::new(false);
    let each = |cpu: CpuId| {
        let count = count_of(cpu);
        while !over.load(Relaxed) {
            work(cpu);
            spin_loop();
            if count.fetch_add(1, Relaxed) + 1 == FASTEST {
                over.store(true, Relaxed);
            }
        }
    };
    online.run_on_all(&each, || each(CpuId::BOOT));
    let all = || {
        let cpus = all_cpus.into_iter();
        cpus.map(|cpu| count_of(cpu).load(Relaxed))
    };
    let (least, most) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
    log::record(&Record::Notice(Notice {
        text: format_args!(
            "{name}: {} operations in all, least of a CPU {least}, most {most}",
            all().sum::<u64>()
        )
        .into(),
    }));
}

/// Numbers of CPUs to measure with: powers of two, and all.
fn numbers(cpus: usize) -> impl Iterator<Item = usize> {
    (1..=cpus).filter(move |&number| number.is_power_of_two() || number == cpus)
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        buddy::run(machine, run);
        vmalloc::run(machine, run);
    });
}
