//! The vmalloc region and the frames behind it under one lock: areas of 16 KiB allocated and freed. Purges of freed areas are
//! shootdowns on all CPUs that are online, those that wait for the lock among them.

use core::fmt::Write;

use arrayvec::ArrayString;
use pagemark::kernel::{Kernel, VmallocRegion};
use pagemark::machine::Machine;
use spin::Mutex;

use super::{measure, numbers};
use crate::harness::run::Run;

const BYTES: u64 = 16 << 10;

/// What the lock is for.
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

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for cpus in numbers(machine.processors.count()) {
        let mut name = ArrayString::<96>::new();
        let _ = write!(name, "contended/vmalloc/size=16KiB/cpus={cpus}");
        if !run.would(&name) {
            continue;
        }
        let on = machine.processors.first(cpus - 1);
        let locked = Mutex::new(Locked {
            kernel: &mut machine.kernel,
            vmalloc: &mut machine.vmalloc,
        });
        machine.processors.online(&on, |online| {
            measure(online, run, &name, &|_| locked.lock().alloc_and_free());
        });
        let _ = machine.vmalloc.purge(&machine.kernel);
    }
}
