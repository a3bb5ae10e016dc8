//! What must hold of the frame allocator on all of this machine's RAM.

use pagemark::boot::command_line::Suite;
use pagemark::console::log;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{BlockList, BuddyInfo, FrameAllocator, FreeError, Gfp, ZoneKind};
use pagemark_record::{Notice, Record};

use crate::harness::case::{Failure, expect_eq};
use crate::harness::random::Random;
use crate::harness::run::Run;

/// Frames up to which the quick suite takes all of them: 16 GiB. A few seconds on real hardware.
const QUICK_LIMIT: u64 = 4 << 20;
/// Lists among which a round of shuffling deals out, and rounds: each is a digit of a random key to sort by.
const LISTS: usize = 64;
const ROUNDS: u32 = 3;

/// Blocks between two looks at the clock.
const AT_ONCE: u64 = 1 << 18;

type Frames = FrameAllocator<'static>;

/// Writes down every check.
pub fn run(machine: &mut Machine, run: &mut Run) {
    let suite = machine.options.suite;
    let zones = machine.zones;
    machine.kernel.drain_frame_cache();
    let frames = &mut machine.kernel.frames;
    // Requests that say nothing of zones must not get high memory.
    let ordinary = match *zones {
        [.., (_, end), (ZoneKind::HighMem, _)] => end,
        _ => Pfn(0),
    };
    for (name, gfp, limit) in [
        ("frames/dma_below_16_mib", Gfp::DMA, Pfn(16 << 8)),
        ("frames/dma32_below_4_gib", Gfp::DMA32, Pfn(4 << 18)),
        ("frames/ordinary_in_direct_map", Gfp::empty(), ordinary),
    ] {
        // The highest zone that serves such a request.
        let zone = zones.iter().rfind(|(_, end)| *end <= limit);
        if let Some(&(highest, end)) = zone {
            run.check(name, all_below(frames, gfp, highest, end));
        }
    }
    let name = "frames/all_at_order_0";
    if suite == Suite::Full || frames.free_frames() <= QUICK_LIMIT {
        let outcome = all_at_order_0(frames, run);
        run.check(name, outcome);
    } else {
        log::record(&Record::Notice(Notice {
            text: format_args!("more than 16 GiB are free: suite=full does {name}").into(),
        }));
    }
}

/// Takes every frame that such a request may have, and looks where they lie: up to the last free frame of the highest zone
/// that serves it, and not one further. Not inlined: two calls with constants would make two copies.
#[inline(never)]
fn all_below(
    frames: &mut Frames,
    modifier: Gfp,
    highest: ZoneKind,
    end: Pfn,
) -> Result<(), Failure> {
    let zones = || frames.buddy_info().filter(|info| info.kind <= highest);
    let free: u64 = zones().map(|info| info.free).sum();
    let in_use = zones().map(|info| info.present).sum::<u64>() - free;
    let list = frames.alloc_bulk(Gfp::KERNEL | Gfp::MEMALLOC | modifier, free, Order::MAX)?;
    let last = |(pfn, order): (Pfn, Order)| pfn.add(order.frames() - 1);
    let found = frames.blocks(&list).map(last).max();
    let more = frames.alloc_page(Gfp::KERNEL | Gfp::MEMALLOC | modifier);
    let more = more.map(|block| frames.free(block));
    frames.free_list(list)?;
    expect_eq!("a frame more than there are", more.is_ok(), false);
    let missing = found
        .zip(frames.last_below(end))
        .and_then(|(found, last)| last.0.checked_sub(found.0));
    // Those that are in use may lie at the end of the zone.
    if missing.is_none_or(|missing| missing > in_use) {
        return Err(Failure::new(format_args!(
            "{highest} ends at {end:?}; the last frame was {found:x?}, and {in_use} are in use"
        )));
    }
    let beyond = frames.zone_of(end).is_none_or(|zone| zone > highest);
    expect_eq!("the frame behind is in a higher zone", beyond, true);
    Ok(())
}

/// Takes all of RAM frame by frame, gives it back in random order, and expects every block that was there to be there again.
fn all_at_order_0(frames: &mut Frames, run: &mut Run) -> Result<(), Failure> {
    let count = frames.free_frames();
    let before = blocks(frames);
    let every = Gfp::HIGHUSER | Gfp::MEMALLOC;
    let list = frames.alloc_bulk(every, count, Order::ZERO)?;
    expect_eq!("single frames", list.blocks(), count);
    expect_eq!("free frames", frames.free_frames(), 0);
    let mut list = shuffled(frames, list, run)?;
    while !list.is_empty() {
        run.is_at("frames/all_at_order_0 frees frames in random order");
        let some = front(frames, &mut list)?;
        frames.free_list(some)?;
    }
    expect_eq!("free frames", frames.free_frames(), count);
    expect_eq!("free blocks by zone and order", blocks(frames), before);
    Ok(())
}

/// The free blocks of each order in each zone.
fn blocks(frames: &Frames) -> [Option<BuddyInfo>; 4] {
    let mut zones = frames.buddy_info().map(|info| BuddyInfo {
        // Running out of memory is what the check does.
        need_balance: false,
        ..info
    });
    core::array::from_fn(|_| zones.next())
}

/// Takes the first `AT_ONCE` blocks off a list: freeing them takes less than a second.
fn front(frames: &mut Frames, list: &mut BlockList) -> Result<BlockList, FreeError> {
    let mut front = BlockList::EMPTY;
    while front.blocks() < AT_ONCE
        && let Some(block) = frames.pop(list)
    {
        frames.push(&mut front, block)?;
    }
    Ok(front)
}

/// The same blocks in random order: sorted by a random key, digit by digit.
fn shuffled(
    frames: &mut Frames,
    mut list: BlockList,
    run: &mut Run,
) -> Result<BlockList, FreeError> {
    let mut random = Random::new();
    for _ in 0..ROUNDS {
        let mut hands = [const { BlockList::EMPTY }; LISTS];
        while let Some(block) = frames.pop(&mut list) {
            if list.blocks().is_multiple_of(AT_ONCE) {
                run.is_at("frames/all_at_order_0 shuffles frames");
            }
            frames.push(&mut hands[random.below(LISTS as u64) as usize], block)?;
        }
        for hand in hands {
            frames.append(&mut list, hand);
        }
    }
    Ok(list)
}
