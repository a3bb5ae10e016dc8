//! One page, with many areas live: what the search costs. All areas lie side by side, or every other one was freed.
//!
//! The areas share one frame, so they cost addresses and tables alone. They lie in the scratch region.

use core::mem::MaybeUninit;
use core::slice;

use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{
    AreaSearch, Contents, Eager, FirstFit, GapTree, ListSlot, TreeSlot, Vmalloc,
};

use super::Region;
use super::area::{Alloc, Call};
use crate::harness::case::Failure;
use crate::harness::run::{Run, Tier};

/// Live areas, and the names of the cases: side by side, and with holes.
type Row = (usize, &'static str, Option<&'static str>);

const LIST: &[Row] = &[
    (0, "vmalloc/alloc/live=0/list", None),
    (100, "vmalloc/alloc/live=100/list", None),
    (
        1_000,
        "vmalloc/alloc/live=1000/list",
        Some("vmalloc/alloc/live=500/holes/list"),
    ),
];

/// To get so far takes the list fifty million steps.
const LONG_LIST: &[Row] = &[(10_000, "vmalloc/alloc/live=10000/list", None)];

const TREE: &[Row] = &[
    (0, "vmalloc/alloc/live=0/tree", None),
    (100, "vmalloc/alloc/live=100/tree", None),
    (1_000, "vmalloc/alloc/live=1000/tree", None),
    (10_000, "vmalloc/alloc/live=10000/tree", None),
];

const LARGE_TREE: &[Row] = &[(
    100_000,
    "vmalloc/alloc/live=100000/tree",
    Some("vmalloc/alloc/live=50000/holes/tree"),
)];

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for (tier, rows) in [(Tier::Quick, LIST), (Tier::Full, LONG_LIST)] {
        run.in_tier(tier, |run| {
            with_search::<ListSlot<Contents>>(machine, run, rows, |machine, run, slots| {
                let region = machine.layout.scratch.range();
                measure(machine, run, rows, FirstFit::new(region, slots))
            });
        });
    }
    for rows in [TREE, LARGE_TREE] {
        with_search::<TreeSlot<Contents>>(machine, run, rows, |machine, run, slots| {
            let region = machine.layout.scratch.range();
            measure(machine, run, rows, GapTree::new(region, slots))
        });
    }
}

/// Hands memory for the books of the largest row's areas to `work`.
fn with_search<S>(
    machine: &mut Machine,
    run: &mut Run,
    rows: &[Row],
    work: impl for<'s> FnOnce(&mut Machine, &mut Run, &'s mut [MaybeUninit<S>]) -> Result<(), Failure>,
) {
    let names = |row: &Row| [Some(row.1), row.2];
    let wanted = |name: &str| run.would(name);
    let Some(first) = rows
        .iter()
        .flat_map(names)
        .flatten()
        .find(|name| wanted(name))
    else {
        return;
    };
    let most = rows.iter().map(|row| row.0).max().unwrap_or(0);
    // One more is measured, and the tree has a slot for the end.
    let slots = most + 2;
    let bytes = (slots * size_of::<S>()) as u64;
    let tables = most as u64 / 128 + 8;
    if machine.kernel.free_frames() < bytes.div_ceil(4096) + 2 * tables {
        return run.skip(first, "too little memory for the books of so many areas");
    }
    if machine.layout.scratch.bytes() < (slots as u64) * 8192 {
        return run.skip(first, "too few addresses for so many areas");
    }
    let outcome = match machine.vmalloc.vmalloc(bytes, &mut machine.kernel) {
        Ok(books) => {
            // SAFETY: the area is ours until it is freed below, large enough, and any bits are an uninitialised slot.
            let memory =
                unsafe { slice::from_raw_parts_mut(books.start().0 as *mut MaybeUninit<S>, slots) };
            let outcome = work(machine, run, memory);
            let freed = machine.vmalloc.vfree(books, &mut machine.kernel);
            outcome.and(freed.map_err(Failure::from))
        }
        Err(error) => Err(error.into()),
    };
    if let Err(failure) = outcome {
        run.check(first, Err(failure));
    }
}

fn measure<S: AreaSearch<Contents = Contents>>(
    machine: &mut Machine,
    run: &mut Run,
    rows: &[Row],
    search: S,
) -> Result<(), Failure> {
    let mut vmalloc = Vmalloc::new(search, Eager);
    let block = machine.kernel.alloc_page(Gfp::KERNEL)?;
    let mut case = |vmalloc: &mut Vmalloc<S, Eager>, machine: &mut Machine, name: &str| {
        let mut case = Alloc {
            region: Region {
                vmalloc,
                kernel: &mut machine.kernel,
            },
            call: Call::Ordinary(PAGE_SIZE),
            area: None,
            size: PageSize::Size4K,
        };
        run.measure(name, &mut case);
    };
    for &(live, packed, holes) in rows {
        grow(&mut vmalloc, machine, block.pfn(), live)?;
        case(&mut vmalloc, machine, packed);
        if let Some(holes) = holes {
            make_holes(&mut vmalloc, machine, live)?;
            case(&mut vmalloc, machine, holes);
        }
    }
    // Lowest first: the list finds those at once.
    loop {
        let lowest = vmalloc.infos().next();
        let Some(area) = lowest else { break };
        vmalloc.vunmap_at(area.range.start, &mut machine.kernel)?;
    }
    machine.kernel.free_page(block)?;
    Ok(())
}

/// Adds areas until so many are live.
fn grow<S: AreaSearch<Contents = Contents>>(
    vmalloc: &mut Vmalloc<S, Eager>,
    machine: &mut Machine,
    frame: Pfn,
    live: usize,
) -> Result<(), Failure> {
    while vmalloc.live() < live {
        let area = vmalloc.vmap(&[frame], Protection::READ, &mut machine.kernel)?;
        let _ = area.into_raw();
    }
    Ok(())
}

/// Frees every other of the first `count` areas.
fn make_holes<S: AreaSearch<Contents = Contents>>(
    vmalloc: &mut Vmalloc<S, Eager>,
    machine: &mut Machine,
    count: usize,
) -> Result<(), Failure> {
    for number in (0..count).step_by(2) {
        // Each has a page and a guard page.
        let address = VirtAddr(machine.layout.scratch.start.0 + number as u64 * 2 * PAGE_SIZE);
        vmalloc.vunmap_at(address, &mut machine.kernel)?;
    }
    Ok(())
}
