//! The shapes of Linux's `lib/test_vmalloc.c`, with its parameters and under its names, so that a Linux guest's figures can stand
//! beside ours. A sample is one iteration of a shape's loop.
//!
//! | shape | one iteration |
//! | --- | --- |
//! | `fix_size_alloc_test` | an area of one page: taken, written to, freed |
//! | `full_fit_alloc_test` | the same, where 8,192 holes of that size lie between as many areas |
//! | `long_busy_list_alloc_test` | one of 100 pages and one of one, beside 15,000 others |
//! | `random_size_alloc_test` | 1 to 100 pages |
//! | `fix_align_alloc_test` | 5 zeroed pages at a multiple of 32 KiB (THREAD_ALIGN twice) |
//! | `random_size_align_alloc_test` | 1 to 10 zeroed pages at a multiple of 2^0 to 2^22 |
//! | `align_shift_alloc_test` | a zeroed page at each multiple from 2^0 on, until one is refused, as it has to be |
//! | `kvfree_rcu_…_arg_vmalloc_test` | a page taken, and the one freed whose grace period is over |
//! | `vm_map_ram_test` | one frame mapped, written to, unmapped |
//! | `no_block_alloc_test` | a page for a caller that cannot wait |
//!
//! There is no RCU here: nothing runs beside the loop, so a grace period ends with the next iteration. And `pcpu_alloc_test`
//! measures the allocator of per-CPU objects that Linux has on top of vmalloc; here is none.

mod iteration;
mod live;

use pagemark::boot::command_line::Propagation;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, Pfn, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::{NoOtherRoot, Protection};
use pagemark::mm::vmalloc::Request;

use self::iteration::{Loop, Refused, Trace, free, map_ram, take, take_and_free};
use self::live::Live;
use crate::harness::case::Failure;
use crate::harness::random::Random;
use crate::harness::run::{Run, Tier};

/// Areas that `long_busy_list_alloc_test` keeps.
const LONG_BUSY_LIST: u64 = 15_000;
/// Areas, and holes, of `full_fit_alloc_test` on one CPU: `fls(1)` times the pages of 32 MiB.
const FULL_FIT: u64 = (32 << 20) / PAGE_SIZE;
/// THREAD_ALIGN is THREAD_SIZE: four pages on x86-64.
const THREAD_ALIGN: u64 = 4 * PAGE_SIZE;

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| shapes(machine, run));
}

fn shapes(machine: &mut Machine, run: &mut Run) {
    let page = Request::new(PAGE_SIZE);
    let mut random = Random::new();
    measure(machine, run, "fix_size_alloc_test", |machine, trace| {
        take_and_free(machine, page, trace)
    });
    with_live(
        machine,
        run,
        "full_fit_alloc_test",
        Live::with_holes,
        FULL_FIT,
        |machine, trace| take_and_free(machine, page, trace),
    );
    with_live(
        machine,
        run,
        "long_busy_list_alloc_test",
        Live::side_by_side,
        LONG_BUSY_LIST,
        |machine, trace| {
            let first = take(machine, Request::new(100 * PAGE_SIZE), trace)?;
            let second = take(machine, page, trace)?;
            free(machine, first)?;
            free(machine, second)
        },
    );
    measure(machine, run, "random_size_alloc_test", |machine, trace| {
        let pages = random.below(100) + 1;
        take_and_free(machine, Request::new(pages * PAGE_SIZE), trace)
    });
    measure(machine, run, "fix_align_alloc_test", |machine, trace| {
        let request = Request::new(5 * PAGE_SIZE).align(2 * THREAD_ALIGN);
        take_and_free(machine, request.zeroed(), trace)
    });
    let mut random = Random::new();
    measure(
        machine,
        run,
        "random_size_align_alloc_test",
        |machine, trace| {
            let number = random.below(256);
            let request = Request::new((number % 10 + 1) * PAGE_SIZE).align(1 << (number % 23));
            take_and_free(machine, request.zeroed(), trace)
        },
    );
    measure(machine, run, "align_shift_alloc_test", |machine, trace| {
        for shift in 0..u64::BITS {
            match take_and_free(machine, page.align(1 << shift).zeroed(), trace) {
                Ok(()) => {}
                Err(Refused::Vmalloc(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(Refused::Nothing)
    });
    if let Err(error) = forget_far_tables(machine) {
        run.check(name("align_shift_alloc_test").as_str(), Err(error));
    }
    run.skip(
        "test_vmalloc/pcpu_alloc_test",
        "it measures Linux's allocator of per-CPU objects on top of vmalloc, and here is none",
    );
    for shape in [
        "kvfree_rcu_1_arg_vmalloc_test",
        "kvfree_rcu_2_arg_vmalloc_test",
    ] {
        put_off(machine, run, shape);
    }
    one_frame(machine, run);
    let mut random = Random::new();
    measure(machine, run, "no_block_alloc_test", |machine, trace| {
        // GFP_NOWAIT is no flag at all but the one that wakes kswapd.
        let gfp = [Gfp::ATOMIC, Gfp::empty()][random.below(2) as usize];
        take_and_free(machine, page.gfp(gfp | Gfp::HIGHMEM), trace)
    });
}

/// The name of a shape's case.
fn name(shape: &str) -> arrayvec::ArrayString<64> {
    let mut name = arrayvec::ArrayString::from("test_vmalloc/").unwrap_or_default();
    // The longest shape has 29 characters.
    let _ = name.try_push_str(shape);
    name
}

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    shape: &str,
    once: impl FnMut(&mut Machine, &mut Trace) -> Result<(), Refused>,
) {
    run.measure(&name(shape), &mut Loop::new(machine, false, once));
}

/// Beside areas that `make` takes and that stay.
fn with_live(
    machine: &mut Machine,
    run: &mut Run,
    shape: &str,
    make: fn(&mut Machine, u64) -> Result<Live, Failure>,
    count: u64,
    once: impl FnMut(&mut Machine, &mut Trace) -> Result<(), Refused>,
) {
    let name = name(shape);
    if !run.would(&name) {
        return;
    }
    if machine.kernel.free_frames() < Live::frames(count) {
        return run.skip(&name, "too little memory for the areas beside it");
    }
    if machine.layout.vmalloc.bytes() / PAGE_SIZE < Live::pages(count) {
        return run.skip(&name, "too few addresses for the areas beside it");
    }
    let outcome = make(machine, count).and_then(|live| {
        run.measure(&name, &mut Loop::new(machine, false, once));
        live.free(machine)
    });
    if outcome.is_err() {
        run.check(name.as_str(), outcome);
    }
}

/// A page is freed one iteration after it was taken.
fn put_off(machine: &mut Machine, run: &mut Run, shape: &str) {
    let mut waiting = None;
    let once = |machine: &mut Machine, trace: &mut Trace| {
        let area = take(machine, Request::new(PAGE_SIZE), trace)?;
        match waiting.replace(area) {
            Some(due) => free(machine, due),
            None => Ok(()),
        }
    };
    run.measure(&name(shape), &mut Loop::new(machine, true, once));
    if let Some(area) = waiting
        && let Err(error) = machine.vmalloc.vfree(area, &mut machine.kernel)
    {
        run.check(name(shape).as_str(), Err(error.into()));
    }
}

/// A frame that is there is mapped and unmapped.
fn one_frame(machine: &mut Machine, run: &mut Run) {
    let shape = "vm_map_ram_test";
    let frame = match machine.kernel.frames.alloc_page(Gfp::KERNEL) {
        Ok(frame) => frame,
        Err(error) => return run.check(name(shape).as_str(), Err(error.into())),
    };
    let pfns: [Pfn; 1] = [frame.pfn()];
    measure(machine, run, shape, |machine, trace| {
        let area = map_ram(machine, &pfns, Protection::READ_WRITE, trace)?;
        Ok(machine.vmalloc.vunmap(area, &mut machine.kernel)?)
    });
    if let Err(error) = machine.kernel.frames.free(frame) {
        run.check(name(shape).as_str(), Err(error.into()));
    }
}

/// Takes the tables out again that areas at large multiples had made, so that the next group finds none there: those of all
/// entries of the root but the first. Those that the run has from its start stay.
fn forget_far_tables(machine: &mut Machine) -> Result<(), Failure> {
    machine.vmalloc.purge(&machine.kernel);
    let region = machine.layout.vmalloc;
    let entry_bytes = 1 << (machine.layout.virtual_bits - 9);
    // Above the root's last entry there is none.
    let second = (region.start.0 + 1).checked_next_multiple_of(entry_bytes);
    let Some(start) = second.map(VirtAddr).filter(|&start| start < region.end) else {
        return Ok(());
    };
    if machine.options.propagation == Propagation::Preallocated {
        return Ok(());
    }
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    // SAFETY: no other root is in use.
    let alone = unsafe { NoOtherRoot::promise() };
    let pages = (region.end.0 - start.0) / PAGE_SIZE;
    let released = vmalloc.release_tables_of_root(start, pages, alone)?;
    let tables = released.flush(&kernel.tlb);
    Ok(kernel.free_tables(tables)?)
}
