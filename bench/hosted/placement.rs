//! Which of the kernel's frames back the machine's memory: others in each pass.
//!
//! A process cannot choose physical addresses, and which of them its pages have decides which collide in a cache. One placement for all
//! of a run is one draw: loads over 32 MiB differ by a sixth between runs. So each pass takes its rounds in another placement, and the
//! median over them is a figure of placements as they come (Curtsinger and Berger, "Stabilizer", 2013, of code).

use pagemark::hosted;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn};
use pagemark::mm::frame::Gfp;

use crate::harness::random::Random;

/// Frames that are placed anew: those that are allocated next, and more than any case of the quick suite loads from.
const FRAMES: usize = 9 << 10;
/// Passes that a placement lasts: a new one takes a tenth of a second.
const PASSES: u32 = 2;
const ONE: Order = Order::new(0).unwrap();

/// Has the pass of this number begin in a new placement of the frames that are allocated next, which hold nothing, and of the page tables.
pub fn renew(machine: &mut Machine, pass: u32, random: &mut Random) {
    if pass % PASSES != 1 {
        return;
    }
    // SAFETY: no case runs between two passes.
    unsafe { hosted::pages::take_back() };
    let frames = &mut machine.kernel.frames;
    // A quarter of what is free, as the next ones of a small machine are all there are.
    let count = FRAMES.min(frames.free_frames() as usize / 4);
    let mut taken: Vec<Pfn> = (0..count)
        .map_while(|_| Some(frames.alloc_pages(Gfp::KERNEL, ONE).ok()?.into_raw().0))
        .collect();
    let mut pages: Vec<_> = taken
        .iter()
        .map(|&frame| machine.frame_address(frame))
        .collect();
    random.shuffle(&mut pages);
    // SAFETY: the frames are ours, and nothing is in them.
    unsafe { hosted::arena::place_anew(&pages, PAGE_SIZE) };
    let tables = hosted::walk::walker().tables().into_iter();
    let tables: Vec<_> = tables.map(|frame| machine.frame_address(frame)).collect();
    // SAFETY: other CPUs are parked, and nobody edits a table or walks through it.
    unsafe { hosted::arena::move_elsewhere(&tables) };
    // The last one first: the next allocations find the frames in the order in which these did.
    while let Some(frame) = taken.pop() {
        // They were allocated so.
        let _ = machine.kernel.frames.free_pages(frame, ONE);
    }
}
