//! The vmalloc region: areas, mappings of the caller's frames, the purge, and what many live areas cost.
//!
//! Names without a policy are those of the machine's own region: the tree, and lazy freeing.

mod area;
mod fragmented;
mod live;
mod map;
mod purge;

use core::mem::MaybeUninit;
use core::slice;

use pagemark::cpu::probe::PageFaultError;
use pagemark::kernel::{Kernel, OnMachine};
use pagemark::machine::{Machine, pages_of};
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::Protection;
use pagemark::mm::slots::Slots;
use pagemark::mm::vmalloc::{
    Area, AreaSearch, Contents, Eager, Freeing, GapTree, Lazy, SearchError, TreeNode, TreeSlot,
    Vmalloc, VmapError, Waiting,
};

use crate::cases::proof;
use crate::harness::case::{Failure, expect_eq};
use crate::harness::run::Run;
use area::{Alloc, Call, Free};
pub(in crate::cases) use live::with_memory;
use map::{Vmap, Vunmap};
use purge::{Longest, Purge};

/// A region, and the kernel that it is part of.
struct Region<'m, S, P> {
    vmalloc: &'m mut Vmalloc<OnMachine, S, P>,
    kernel: &'m mut Kernel,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Region<'_, S, P> {
    /// The same for a shorter time.
    fn again(&mut self) -> Region<'_, S, P> {
        Region {
            vmalloc: self.vmalloc,
            kernel: self.kernel,
        }
    }

    /// Frames that are free or have become tables.
    fn frames(&self) -> u64 {
        self.kernel.free_frames() + self.kernel.table_frames()
    }

    /// The word that lies in the frame behind `address`, not read through the address.
    fn word(&self, address: VirtAddr) -> Result<u64, Failure> {
        let mut bytes = [0; 8];
        let read = self.vmalloc.vread(address, &mut bytes, self.kernel);
        expect_eq!("bytes read", read, bytes.len());
        Ok(u64::from_ne_bytes(bytes))
    }

    fn expect_absent(&self, start: VirtAddr, pages: u64) -> Result<(), Failure> {
        for number in 0..pages {
            let address = VirtAddr(start.0 + number * PAGE_SIZE);
            proof::expect_fault(address, PageFaultError::empty())?;
        }
        Ok(())
    }
}

/// A call and the names of its cases: allocating, freeing.
type Row = (Call, PageSize, &'static str, &'static str);

const fn row(bytes: u64, alloc: &'static str, free: &'static str) -> Row {
    (Call::Ordinary(bytes), PageSize::Size4K, alloc, free)
}

const DEFAULT: &[Row] = &[
    row(4 << 10, "vmalloc/alloc/size=4KiB", "vmalloc/free/size=4KiB"),
    row(
        64 << 10,
        "vmalloc/alloc/size=64KiB",
        "vmalloc/free/size=64KiB",
    ),
    row(1 << 20, "vmalloc/alloc/size=1MiB", "vmalloc/free/size=1MiB"),
    row(
        16 << 20,
        "vmalloc/alloc/size=16MiB",
        "vmalloc/free/size=16MiB",
    ),
];

/// Sizes that no single block has.
const ODD: &[Row] = &[
    row(
        3 * PAGE_SIZE,
        "vmalloc/alloc/pages=3",
        "vmalloc/free/pages=3",
    ),
    row(
        7 * PAGE_SIZE,
        "vmalloc/alloc/pages=7",
        "vmalloc/free/pages=7",
    ),
    row(
        15 * PAGE_SIZE,
        "vmalloc/alloc/pages=15",
        "vmalloc/free/pages=15",
    ),
    row(
        255 * PAGE_SIZE,
        "vmalloc/alloc/pages=255",
        "vmalloc/free/pages=255",
    ),
];

const EAGER: &[Row] = &[
    row(
        4 << 10,
        "vmalloc/alloc/size=4KiB/eager",
        "vmalloc/free/size=4KiB/eager",
    ),
    row(
        64 << 10,
        "vmalloc/alloc/size=64KiB/eager",
        "vmalloc/free/size=64KiB/eager",
    ),
    row(
        1 << 20,
        "vmalloc/alloc/size=1MiB/eager",
        "vmalloc/free/size=1MiB/eager",
    ),
];

const HUGE: &[Row] = &[(
    Call::Huge(16 << 20),
    PageSize::Size2M,
    "vmalloc/alloc/huge=16MiB",
    "vmalloc/free/huge=16MiB",
)];

const MAPS: &[(usize, &str, &str)] = &[
    (1, "vmalloc/vmap/frames=1", "vmalloc/vunmap/frames=1"),
    (16, "vmalloc/vmap/frames=16", "vmalloc/vunmap/frames=16"),
    (256, "vmalloc/vmap/frames=256", "vmalloc/vunmap/frames=256"),
    (
        4096,
        "vmalloc/vmap/frames=4096",
        "vmalloc/vunmap/frames=4096",
    ),
];

/// Areas, whether they are freed in random order, and the name.
const PURGES: &[(usize, bool, &str)] = &[
    (1, false, "vmalloc/purge/areas=1"),
    (16, false, "vmalloc/purge/areas=16"),
    (purge::MOST, false, "vmalloc/purge/areas=256"),
    (purge::MOST, true, "vmalloc/purge/areas=256/freed=random"),
];

const LONGEST: &str = "vmalloc/vunmap/waiting=1024/freed=random";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let mut region = Region {
        vmalloc: &mut machine.vmalloc,
        kernel: &mut machine.kernel,
    };
    areas(region.again(), run, DEFAULT);
    areas(region.again(), run, ODD);
    areas(region.again(), run, HUGE);
    maps(region.again(), run);
    purges(region, run);
    eager(machine, run);
    longest(machine, run);
    live::run(machine, run);
    fragmented::run(machine, run);
}

fn areas<S: AreaSearch<Contents = Contents>, P: Freeing>(
    mut region: Region<'_, S, P>,
    run: &mut Run,
    rows: &[Row],
) {
    for &(call, size, alloc, free) in rows {
        if !run.would(alloc) && !run.would(free) {
            continue;
        }
        if let Err(failure) = use_slots(region.again()) {
            return run.check(alloc, Err(failure));
        }
        run.measure(
            alloc,
            &mut Alloc {
                region: region.again(),
                call,
                area: None,
                size,
            },
        );
        region.vmalloc.purge(region.kernel);
        let mut case = Free {
            region: region.again(),
            call,
            start: VirtAddr(0),
            pages: 0,
            free_before: 0,
            area: None,
            outcome: Ok(()),
        };
        run.measure(free, &mut case);
    }
}

/// Makes the search have slots that were used before, as it has on a machine that has been up for a while.
fn use_slots<S: AreaSearch<Contents = Contents>, P: Freeing>(
    region: Region<'_, S, P>,
) -> Result<(), Failure> {
    let mut areas = [const { None::<Area> }; 128];
    for area in &mut areas {
        let frames = [Pfn(0)];
        match region
            .vmalloc
            .vmap(&frames, Protection::READ, region.kernel)
        {
            Ok(mapped) => *area = Some(mapped),
            Err(VmapError::Search(SearchError::NoSlot { .. })) => break,
            Err(error) => return Err(error.into()),
        }
    }
    for area in areas.into_iter().flatten() {
        region.vmalloc.vunmap(area, region.kernel)?;
    }
    region.vmalloc.purge(region.kernel);
    Ok(())
}

/// The same sizes with a flush for each area, in the scratch region.
fn eager(machine: &mut Machine, run: &mut Run) {
    if machine.layout.scratch.bytes() < 4 << 20 {
        for (_, _, alloc, free) in EAGER {
            run.skip(alloc, "too few addresses in the scratch region");
            run.skip(free, "too few addresses in the scratch region");
        }
        return;
    }
    const AREAS: usize = 8;
    const NODES: usize = TreeNode::enough_for(AREAS);
    let mut slots = [const { MaybeUninit::<TreeSlot<Contents>>::uninit() }; AREAS];
    let mut nodes = [const { MaybeUninit::<TreeNode>::uninit() }; NODES];
    let search = GapTree::new(machine.layout.scratch.range(), &mut slots, &mut nodes);
    let mut vmalloc = Vmalloc::new(machine.scratch.take(), search, Eager);
    let region = Region {
        vmalloc: &mut vmalloc,
        kernel: &mut machine.kernel,
    };
    areas(region, run, EAGER);
    machine.scratch = vmalloc.into_owned(&machine.kernel);
}

fn maps<S: AreaSearch<Contents = Contents>, P: Freeing>(
    mut region: Region<'_, S, P>,
    run: &mut Run,
) {
    for &(count, map, unmap) in MAPS {
        if !run.would(map) && !run.would(unmap) {
            continue;
        }
        let outcome = with_scattered_frames(region.again(), count, |mut region, frames| {
            region.vmalloc.purge(region.kernel);
            run.measure(
                map,
                &mut Vmap {
                    region: region.again(),
                    frames,
                    area: None,
                },
            );
            region.vmalloc.purge(region.kernel);
            let mut case = Vunmap {
                region: region.again(),
                frames,
                start: VirtAddr(0),
                free_before: 0,
                area: None,
                outcome: Ok(()),
            };
            run.measure(unmap, &mut case);
        });
        if let Err(failure) = outcome {
            run.check(map, Err(failure));
        }
    }
}

/// Hands `count` frames, a power of two, to `work`, of which no two neighbours follow on each other.
fn with_scattered_frames<S: AreaSearch<Contents = Contents>, P: Freeing>(
    mut region: Region<'_, S, P>,
    count: usize,
    work: impl FnOnce(Region<'_, S, P>, &[Pfn]),
) -> Result<(), Failure> {
    let bytes = (count * size_of::<Pfn>()) as u64;
    let book = region.vmalloc.vzalloc(bytes, region.kernel)?;
    let pages = pages_of(&book).map_err(|reason| Failure::new(format_args!("{reason}")))?;
    // SAFETY: the area is ours until it is freed below, large enough, and full of zeros, which are frame numbers.
    let frames = unsafe { slice::from_raw_parts_mut(pages.0 as *mut Pfn, count) };
    let list = region
        .kernel
        .frames
        .alloc_bulk(Gfp::KERNEL, count as u64, Order::ZERO)?;
    for (number, (frame, _)) in region.kernel.frames.blocks(&list).enumerate() {
        frames[number * 37 % count] = frame;
    }
    work(region.again(), frames);
    region.kernel.frames.free_list(list)?;
    region.vmalloc.vfree(book, region.kernel)?;
    Ok(())
}

fn purges<S: AreaSearch<Contents = Contents>, P: Freeing>(
    mut region: Region<'_, S, P>,
    run: &mut Run,
) {
    for &(areas, shuffled, name) in PURGES {
        let block = match region.kernel.alloc_page(Gfp::KERNEL) {
            Ok(block) => block,
            Err(error) => return run.check(name, Err(error.into())),
        };
        let mut case = Purge {
            region: region.again(),
            frame: block.pfn(),
            areas,
            shuffled,
            starts: [VirtAddr(0); purge::MOST],
            purged: Waiting::default(),
        };
        run.measure(name, &mut case);
        if let Err(error) = region.kernel.free_page(block) {
            run.check(name, Err(error.into()));
        }
    }
}

/// The longest call of many that free an area, in the scratch region.
fn longest(machine: &mut Machine, run: &mut Run) {
    const AREAS: usize = purge::LIMIT + 1;
    if !run.would(LONGEST) {
        return;
    }
    if machine.layout.scratch.bytes() < 3 * PAGE_SIZE * AREAS as u64 {
        return run.skip(LONGEST, "too few addresses in the scratch region");
    }
    let outcome = with_memory(machine, AREAS, |machine, slots| {
        with_memory(machine, TreeNode::enough_for(AREAS), |machine, nodes| {
            with_memory(machine, AREAS, |machine, areas| {
                let search = GapTree::new(machine.layout.scratch.range(), slots, nodes);
                let mut held = Slots::new(areas);
                while held.push(None).is_some() {}
                let block = machine.kernel.alloc_page(Gfp::KERNEL)?;
                let freeing = Lazy::new(purge::LIMIT as u64);
                let mut vmalloc = Vmalloc::new(machine.scratch.take(), search, freeing);
                let mut case = Longest {
                    region: Region {
                        vmalloc: &mut vmalloc,
                        kernel: &mut machine.kernel,
                    },
                    frame: block.pfn(),
                    areas: held,
                    starts: [VirtAddr(0); purge::MOST],
                    outcome: Ok(()),
                };
                run.measure(LONGEST, &mut case);
                machine.scratch = vmalloc.into_owned(&machine.kernel);
                Ok(machine.kernel.free_page(block)?)
            })
        })
    });
    if let Err(failure) = outcome {
        run.check(LONGEST, Err(failure));
    }
}
