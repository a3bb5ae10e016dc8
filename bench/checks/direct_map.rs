//! What must hold of the direct map: every frame of RAM lies there at one offset, and is the frame that an alias of it shows.

use pagemark::console::log;
use pagemark::cpu::invalidate::LocalTlb;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn, VirtAddr};
use pagemark::mm::fixmap::FixmapSlot;
use pagemark::mm::frame::{Gfp, ZoneKind};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::Tlb;
use pagemark_record::{Notice, Record};

use crate::cases::proof;
use crate::harness::case::{Failure, expect_eq};
use crate::harness::run::Run;

/// Frames of each zone that are taken to look at some of them through an alias: 1 GiB.
const FRAMES: u64 = 1 << 18;

/// Writes down every check, and what the direct map is made of.
pub fn run(machine: &mut Machine, run: &mut Run) {
    run.check("direct_map/linear", linear(machine));
    run.check("direct_map/alias_agrees", alias_agrees(machine));
}

/// Every leaf of the direct map shows the frame that its address names.
fn linear(machine: &Machine) -> Result<(), Failure> {
    let region = machine.layout.direct_map;
    let mut leaves = [0u64; 3];
    let mut elsewhere = None;
    machine.kernel.table.for_each_leaf(|address, leaf| {
        if region.range().contains(&address) {
            leaves[leaf.size() as usize] += 1;
            if leaf.address.0 != address.0 - region.start.0 {
                elsewhere.get_or_insert(address);
            }
        }
    });
    let [small, middle, large] = leaves;
    log::record(&Record::Notice(Notice {
        text: format_args!(
            "direct map: {large} leaves of 1 GiB, {middle} of 2 MiB, {small} of 4 KiB"
        )
        .into(),
    }));
    expect_eq!("a leaf that shows another frame", elsewhere, None);
    Ok(())
}

/// Free frames of every zone of the direct map: what is written at their addresses there reads back through the fixmap, and the
/// other way round.
fn alias_agrees(machine: &mut Machine) -> Result<(), Failure> {
    for (modifier, highest) in [
        (Gfp::DMA, ZoneKind::Dma),
        (Gfp::DMA32, ZoneKind::Dma32),
        (Gfp::empty(), ZoneKind::Normal),
    ] {
        let frames = &mut machine.kernel.frames;
        let zones = frames.buddy_info().filter(|zone| zone.kind <= highest);
        let free = zones.map(|zone| zone.free).sum::<u64>().min(FRAMES);
        let gfp = Gfp::KERNEL | Gfp::MEMALLOC | modifier;
        let list = frames.alloc_bulk(gfp, free, Order::MAX)?;
        let outcome = machine
            .kernel
            .frames
            .blocks(&list)
            .flat_map(|(first, order)| [first, first.add(order.frames() - 1)])
            .try_for_each(|frame| look(machine, frame));
        machine.kernel.frames.free_list(list)?;
        outcome?;
    }
    Ok(())
}

/// Looks at one frame both ways.
fn look(machine: &Machine, frame: Pfn) -> Result<(), Failure> {
    let Some(slot) = FixmapSlot::of_cpu(FixmapSlot::CPUS - 1) else {
        return Ok(());
    };
    let local = Tlb::new(LocalTlb::new(&machine.features), 1);
    let here = machine.frame_address(frame);
    let there = machine
        .fixmap
        .set(slot, frame, Protection::READ_WRITE, &local);
    let last = |page: VirtAddr| VirtAddr(page.0 + 4088);
    let mark = 0x616c_6961_7300_0000 ^ frame.0;
    // SAFETY: the frame is ours.
    unsafe { proof::write(here, mark)? };
    // SAFETY: as above.
    unsafe { proof::write(last(there), !mark)? };
    let words = [proof::read(there)?, proof::read(last(here))?];
    machine.fixmap.clear(slot, &local);
    expect_eq!("words of a frame and its alias", words, [mark, !mark]);
    Ok(())
}
