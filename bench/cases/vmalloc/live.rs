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
    AreaSearch, Contents, Eager, FirstFit, GapTree, ListSlot, TreeNode, TreeSlot, Vmalloc,
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
            with_books::<ListSlot<Contents>>(machine, run, rows, |machine, run, slots, _| {
                let region = machine.layout.scratch.range();
                measure(machine, run, rows, FirstFit::new(region, slots))
            });
        });
    }
    for rows in [TREE, LARGE_TREE] {
        with_books::<TreeSlot<Contents>>(machine, run, rows, |machine, run, slots, nodes| {
            let region = machine.layout.scratch.range();
            measure(machine, run, rows, GapTree::new(region, slots, nodes))
        });
    }
}

/// Hands memory for the books of the largest row's areas to `work`: slots, and the nodes of a tree.
fn with_books<S>(
    machine: &mut Machine,
    run: &mut Run,
    rows: &[Row],
    work: impl for<'s> FnOnce(
        &mut Machine,
        &mut Run,
        &'s mut [MaybeUninit<S>],
        &'s mut [MaybeUninit<TreeNode>],
    ) -> Result<(), Failure>,
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
    // One more is measured.
    let areas = most + 1;
    let nodes = TreeNode::enough_for(areas);
    let bytes = (areas * size_of::<S>() + nodes * size_of::<TreeNode>()) as u64;
    let tables = most as u64 / 128 + 8;
    if machine.kernel.free_frames() < bytes.div_ceil(4096) + 2 * tables {
        return run.skip(first, "too little memory for the books of so many areas");
    }
    if machine.layout.scratch.bytes() < (areas as u64) * 8192 {
        return run.skip(first, "too few addresses for so many areas");
    }
    let outcome = with_memory(machine, areas, |machine, slots| {
        with_memory(machine, nodes, |machine, nodes| {
            work(machine, run, slots, nodes)
        })
    });
    if let Err(failure) = outcome {
        run.check(first, Err(failure));
    }
}

/// Hands an area of vmalloc with room for `count` values to `work`.
fn with_memory<T>(
    machine: &mut Machine,
    count: usize,
    work: impl FnOnce(&mut Machine, &mut [MaybeUninit<T>]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bytes = (count * size_of::<T>()) as u64;
    let area = machine.vmalloc.vmalloc(bytes, &mut machine.kernel)?;
    let first = area.start().0 as *mut MaybeUninit<T>;
    // SAFETY: the area is ours until it is freed below, large enough, and any bits are an uninitialised value.
    let outcome = work(machine, unsafe { slice::from_raw_parts_mut(first, count) });
    let freed = machine.vmalloc.vfree(area, &mut machine.kernel);
    outcome.and(freed.map_err(Failure::from))
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
