//! The vmalloc region and the frames behind it: areas of 16 KiB allocated and freed, with a part for each CPU, or all of it under one
//! lock, as the book's machine has it. Purges of freed areas are shootdowns on all CPUs that are online, those that wait for the lock
//! among them.

use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrayvec::ArrayString;
use pagemark::console::log;
use pagemark::kernel::{Kernel, OnMachine, VmallocRegion};
use pagemark::machine::Machine;
use pagemark::mm::shared::{Part, SharedKernel};
use pagemark::mm::shootdown::{CpuId, CpuMask};
use pagemark::mm::slots::Slots;
use pagemark::smp::work::Online;
use pagemark_record::{Notice, Record};
use spin::Mutex;

use super::{FASTEST, Work, measure, numbers};
use crate::cases::vmalloc::with_memory;
use crate::harness::case::Failure;
use crate::harness::run::Run;

const BYTES: u64 = 16 << 10;
/// The fewest operations for each time that the lock is taken: with fewer, parts bring nothing.
const OPERATIONS_OF_A_LOCK: u64 = 16;

/// What the one lock is for.
struct Locked<'m> {
    kernel: &'m mut Kernel,
    vmalloc: &'m mut VmallocRegion,
}

impl Locked<'_> {
    fn alloc_and_free(&mut self) -> bool {
        let area = self.vmalloc.vmalloc(BYTES, self.kernel);
        area.is_ok_and(|area| self.vmalloc.vfree(area, self.kernel).is_ok())
    }
}

fn under_one_lock(machine: &mut Machine, run: &mut Run, on: &CpuMask, name: &str) {
    let locked = Mutex::new(Locked {
        kernel: &mut machine.kernel,
        vmalloc: &mut machine.vmalloc,
    });
    machine.processors.online(on, |online| {
        measure(online, run, name, &|_| locked.lock().alloc_and_free());
    });
    let _ = machine.vmalloc.purge(&machine.kernel);
}

#[inline(never)]
fn in_parts(
    machine: &mut Machine,
    run: &mut Run,
    on: &CpuMask,
    cpus: usize,
    name: &str,
) -> Result<(), Failure> {
    with_memory::<Part<'static, OnMachine>>(machine, cpus, |machine, memory| {
        let mut parts = Slots::new(memory);
        while parts.push(Part::new(&machine.kernel, cpus)).is_some() {}
        let (kernel, vmalloc) = (&mut machine.kernel, &mut machine.vmalloc);
        let shared = SharedKernel::new(kernel, vmalloc, parts.as_slice());
        let alloc_and_free = |cpu: CpuId| {
            let area = shared.vmalloc(cpu, BYTES);
            area.is_ok_and(|area| shared.vfree(cpu, area).is_ok())
        };
        let outcome = machine.processors.online(on, |online| {
            measure(online, run, name, &alloc_and_free);
            match run.is_first_pass() {
                true => count_locks(online, name, &alloc_and_free, || shared.locks()),
                false => Ok(()),
            }
        });
        match shared.end() {
            0 => outcome,
            chunks => Err(Failure::new(format_args!(
                "areas are left in {chunks} chunks of addresses"
            ))),
        }
    })
}

/// Has each CPU do as many operations as the fastest one in a measurement of fairness, and sees how often the lock was taken.
fn count_locks<W: Work>(
    online: &Online,
    name: &str,
    work: &W,
    locks: impl Fn() -> u64,
) -> Result<(), Failure> {
    let (before, done) = (locks(), AtomicU64::new(0));
    let each = |cpu: CpuId| {
        for _ in 0..FASTEST {
            done.fetch_add(u64::from(work(cpu)), Relaxed);
            core::hint::spin_loop();
        }
    };
    online.run_on_all(&each, || each(CpuId::BOOT));
    let (locks, done) = (locks() - before, done.load(Relaxed));
    log::record(&Record::Notice(Notice {
        text: format_args!("{name}: the lock of all was taken {locks} times in {done} operations")
            .into(),
    }));
    match locks * OPERATIONS_OF_A_LOCK <= done {
        true => Ok(()),
        false => Err(Failure::new(format_args!(
            "{locks} locks in {done} operations"
        ))),
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for cpus in numbers(machine.processors.count()) {
        let on = machine.processors.first(cpus - 1);
        let mut name = ArrayString::<96>::new();
        let _ = write!(name, "contended/vmalloc/size=16KiB/cpus={cpus}");
        if run.would(&name)
            && let Err(failure) = in_parts(machine, run, &on, cpus, &name)
        {
            run.check(name.as_str(), Err(failure));
        }
        name.push_str("/lock=one");
        if run.would(&name) {
            under_one_lock(machine, run, &on, &name);
        }
    }
}
