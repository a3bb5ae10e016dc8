//! Areas where no two free frames are neighbours: every frame is a block of its own, as on a machine whose memory is old.

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{BlockList, Gfp};

use super::{Region, Row, areas, row};
use crate::harness::case::Failure;
use crate::harness::run::Run;

/// Free frames, each between two that are taken: 64 MiB.
const FREE: u64 = 1 << 14;

const SINGLE: &[Row] = &[
    row(
        1 << 20,
        "vmalloc/alloc/size=1MiB/frames=single",
        "vmalloc/free/size=1MiB/frames=single",
    ),
    row(
        16 << 20,
        "vmalloc/alloc/size=16MiB/frames=single",
        "vmalloc/free/size=16MiB/frames=single",
    ),
];

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let names = SINGLE.iter().flat_map(|&(_, _, alloc, free)| [alloc, free]);
    if !names.clone().any(|name| run.would(name)) {
        return;
    }
    if machine.kernel.free_frames() < 3 * FREE {
        for name in names {
            run.skip(name, "too little memory");
        }
        return;
    }
    if let Err(failure) = with_single_frames(machine, |machine| {
        let region = Region {
            vmalloc: &mut machine.vmalloc,
            kernel: &mut machine.kernel,
        };
        areas(region, run, SINGLE);
    }) {
        run.check("vmalloc/fragmented", Err(failure));
    }
}

/// Calls `work` while [`FREE`] frames are free and no two of them are buddies.
fn with_single_frames(
    machine: &mut Machine,
    work: impl FnOnce(&mut Machine),
) -> Result<(), Failure> {
    const ALL: Gfp = Gfp::KERNEL.union(Gfp::MEMALLOC);
    machine.vmalloc.purge(&machine.kernel);
    machine.kernel.drain_frame_cache();
    let frames = &mut machine.kernel.frames;
    let mut pieces = frames.alloc_bulk(ALL, 2 * FREE, Order::ZERO)?;
    let rest = frames.free_frames();
    let rest = frames.alloc_bulk(Gfp::HIGHUSER | Gfp::MEMALLOC, rest, Order::MAX)?;
    let mut kept = BlockList::EMPTY;
    while let Some(block) = frames.pop(&mut pieces) {
        let Pfn(number) = block.pfn();
        if number % 2 == 0 {
            frames.push(&mut kept, block)?;
        } else {
            frames.free(block)?;
        }
    }
    work(machine);
    machine.vmalloc.purge(&machine.kernel);
    machine.kernel.drain_frame_cache();
    let frames = &mut machine.kernel.frames;
    frames.free_list(rest)?;
    frames.free_list(kept)?;
    Ok(())
}
