//! One page, with many areas live: what each search costs. All areas lie side by side, or every other one was freed.
//!
//! The areas share one frame, so they cost addresses and tables alone. They lie in the scratch region.

use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;

use pagemark::kernel::OnMachine;
use pagemark::machine::{Machine, pages_of};
use pagemark::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::Protection;
use pagemark::mm::slots::Slots;
use pagemark::mm::vmalloc::{
    Area, AreaSearch, Contents, Eager, FirstFit, GapTree, InstantFit, ListSlot, TagSlot, TreeNode,
    TreeSlot, Vmalloc,
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

const INSTANT_FIT: &[Row] = &[
    (0, "vmalloc/alloc/live=0/instant_fit", None),
    (100, "vmalloc/alloc/live=100/instant_fit", None),
    (1_000, "vmalloc/alloc/live=1000/instant_fit", None),
    (10_000, "vmalloc/alloc/live=10000/instant_fit", None),
];

const LARGE_INSTANT_FIT: &[Row] = &[(
    100_000,
    "vmalloc/alloc/live=100000/instant_fit",
    Some("vmalloc/alloc/live=50000/holes/instant_fit"),
)];

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for (tier, rows) in [(Tier::Quick, LIST), (Tier::Full, LONG_LIST)] {
        run.in_tier(tier, |run| {
            let slots_of = |areas| areas;
            with_metadata::<ListSlot<Contents>>(machine, run, rows, slots_of, |work| {
                let search = FirstFit::new(work.region(), work.slots);
                measure(work.machine, work.run, rows, search, work.held)
            });
        });
    }
    for rows in [TREE, LARGE_TREE] {
        let slots_of = |areas| areas;
        with_metadata::<TreeSlot<Contents>>(machine, run, rows, slots_of, |work| {
            let search = GapTree::new(work.region(), work.slots, work.nodes);
            measure(work.machine, work.run, rows, search, work.held)
        });
    }
    for rows in [INSTANT_FIT, LARGE_INSTANT_FIT] {
        let slots_of = TagSlot::<Contents>::enough_for;
        with_metadata::<TagSlot<Contents>>(machine, run, rows, slots_of, |work| {
            let search = InstantFit::new(work.region(), work.slots);
            measure(work.machine, work.run, rows, search, work.held)
        });
    }
}

/// What a search is measured with.
struct Work<'w, S> {
    machine: &'w mut Machine,
    run: &'w mut Run,
    /// For its metadata.
    slots: &'w mut [MaybeUninit<S>],
    /// The same, if it is the tree.
    nodes: &'w mut [MaybeUninit<TreeNode>],
    /// For the areas that are live.
    held: &'w mut [MaybeUninit<Option<Area>>],
}

impl<S> Work<'_, S> {
    fn region(&self) -> Range<VirtAddr> {
        self.machine.layout.scratch.range()
    }
}

/// Hands memory for the metadata of the largest row's areas to `measure`.
fn with_metadata<S>(
    machine: &mut Machine,
    run: &mut Run,
    rows: &[Row],
    slots_of: impl Fn(usize) -> usize,
    measure: impl FnOnce(Work<'_, S>) -> Result<(), Failure>,
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
    let (slots, nodes) = (slots_of(areas), TreeNode::enough_for(areas));
    let bytes =
        slots * size_of::<S>() + nodes * size_of::<TreeNode>() + most * size_of::<Option<Area>>();
    let tables = most as u64 / 128 + 8;
    if machine.kernel.free_frames() < bytes.div_ceil(4096) as u64 + 2 * tables {
        return run.skip(first, "too little memory for the metadata of the areas");
    }
    if machine.layout.scratch.bytes() < (areas as u64) * 8192 {
        return run.skip(first, "too few addresses for the areas");
    }
    let outcome = with_memory(machine, slots, |machine, slots| {
        with_memory(machine, nodes, |machine, nodes| {
            with_memory(machine, most, |machine, held| {
                measure(Work {
                    machine,
                    run,
                    slots,
                    nodes,
                    held,
                })
            })
        })
    });
    if let Err(failure) = outcome {
        run.check(first, Err(failure));
    }
}

/// Hands an area of vmalloc with room for `count` values to `work`.
pub(in crate::cases) fn with_memory<T>(
    machine: &mut Machine,
    count: usize,
    work: impl FnOnce(&mut Machine, &mut [MaybeUninit<T>]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bytes = (count * size_of::<T>()) as u64;
    let area = machine.vmalloc.vmalloc(bytes, &mut machine.kernel)?;
    let pages = pages_of(&area).map_err(|reason| Failure::new(format_args!("{reason}")))?;
    let first = pages.0 as *mut MaybeUninit<T>;
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
    held: &mut [MaybeUninit<Option<Area>>],
) -> Result<(), Failure> {
    let mut vmalloc = Vmalloc::new(machine.scratch.take(), search, Eager);
    let outcome = measure_in(&mut vmalloc, machine, run, rows, held);
    machine.scratch = vmalloc.into_owned(&machine.kernel);
    outcome
}

fn measure_in<S: AreaSearch<Contents = Contents>>(
    vmalloc: &mut Vmalloc<OnMachine, S, Eager>,
    machine: &mut Machine,
    run: &mut Run,
    rows: &[Row],
    held: &mut [MaybeUninit<Option<Area>>],
) -> Result<(), Failure> {
    let mut held = Slots::new(held);
    let block = machine.kernel.alloc_page(Gfp::KERNEL)?;
    let mut case =
        |vmalloc: &mut Vmalloc<OnMachine, S, Eager>, machine: &mut Machine, name: &str| {
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
        while vmalloc.live() < live {
            let frames = &[block.pfn()];
            let area = vmalloc.vmap(frames, Protection::READ, &mut machine.kernel)?;
            let _ = held.push(Some(area));
        }
        case(vmalloc, machine, packed);
        if let Some(holes) = holes {
            unmap_every(2, &mut held, vmalloc, machine)?;
            case(vmalloc, machine, holes);
        }
    }
    // Lowest first: the list finds those at once.
    unmap_every(1, &mut held, vmalloc, machine)?;
    machine.kernel.free_page(block)?;
    Ok(())
}

/// Unmaps every area that is still there, or every other one.
fn unmap_every<S: AreaSearch<Contents = Contents>>(
    step: usize,
    held: &mut Slots<'_, Option<Area>>,
    vmalloc: &mut Vmalloc<OnMachine, S, Eager>,
    machine: &mut Machine,
) -> Result<(), Failure> {
    for number in (0..held.len()).step_by(step) {
        if let Some(area) = held[number].take() {
            vmalloc.vunmap(area, &mut machine.kernel)?;
        }
    }
    Ok(())
}
