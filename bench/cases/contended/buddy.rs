//! One frame allocator behind its lock: single frames taken and given back, straight or through each CPU's cache.

use core::fmt::Write;

use arrayvec::ArrayString;
use pagemark::machine::Machine;
use pagemark::mm::address::Order;
use pagemark::mm::frame::{Batched, FrameCache, Gfp, InDescriptor, SharedFrames};
use pagemark::mm::shootdown::CpuId;
use pagemark::smp::work::{Online, Processors};
use spin::Mutex;

use super::{measure, numbers};
use crate::cases::buddy::with_zone;
use crate::harness::case::Failure;
use crate::harness::run::Run;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    None,
    Batched,
}

/// Most CPUs, as their caches lie on the stack.
const MOST_CPUS: usize = 8;

type Zone<'z> = SharedFrames<'z, InDescriptor>;

/// A frame out of the allocator and back.
fn straight(zone: &Zone<'_>) -> bool {
    let block = zone.alloc_pages(Gfp::KERNEL, Order::ZERO);
    block.is_ok_and(|block| zone.free(block).is_ok())
}

/// A frame out of this CPU's cache and back.
fn cached<'z>(zone: &Zone<'z>, cache: &Mutex<FrameCache<'z, Batched>>) -> bool {
    // Nobody else ever takes this lock; it is there because the caches lie side by side.
    let mut cache = cache.lock();
    let block = cache.alloc_page(zone, Gfp::KERNEL);
    block.is_ok_and(|block| cache.free(zone, block).is_ok())
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for cache in [Cache::None, Cache::Batched] {
        for cpus in numbers(machine.processors.count().min(MOST_CPUS)) {
            let mut name = ArrayString::<96>::new();
            let policy = match cache {
                Cache::None => "none",
                Cache::Batched => "batched",
            };
            let _ = write!(name, "contended/buddy/order=0/cpus={cpus}/cache={policy}");
            if run.would(&name)
                && let Err(failure) = on(machine, cpus, cache, run, &name)
            {
                run.check(name.as_str(), Err(failure));
            }
        }
    }
}

#[inline(never)]
fn on(
    machine: &mut Machine,
    cpus: usize,
    cache: Cache,
    run: &mut Run,
    name: &str,
) -> Result<(), Failure> {
    let on = machine.processors.first(cpus - 1);
    // The zone's metadata are made out of the rest of the machine.
    let mut processors = core::mem::replace(&mut machine.processors, Processors::alone(0));
    let outcome = with_zone::<InDescriptor>(machine, |zone| {
        processors.online(&on, |online| match cache {
            Cache::None => measure(online, run, name, &|_| straight(zone)),
            Cache::Batched => through_caches(zone, online, run, name),
        });
        Ok(())
    });
    machine.processors = processors;
    outcome
}

/// Not inlined, for the sake of its stack.
#[inline(never)]
fn through_caches(zone: &Zone<'_>, online: &Online, run: &mut Run, name: &str) {
    let cpus = online.cpus().count() as u64 + 1;
    let caches: [_; MOST_CPUS] = core::array::from_fn(|_| Mutex::new(FrameCache::new(zone, cpus)));
    let work = |cpu: CpuId| cached(zone, &caches[cpu.number()]);
    measure(online, run, name, &work);
    for cache in &caches {
        cache.lock().drain(zone);
    }
}
