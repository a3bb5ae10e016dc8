//! Whether one INVLPG drops everything, as it does where a hypervisor backs large pages with small ones.
//!
//! What makes it so are pieces of a large page in the TLB. So words of a 2 MiB leaf are read, out of a block in the direct map, before the
//! INVLPG of another page; whether everything went shows in 4 KiB pages that have nothing to do with either.

use core::ptr;

use pagemark::cpu::invalidate::{flush_everything, invlpg};
use pagemark::cpu::tsc;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark_verdict::{Reloads, fractured};

/// Pages that [`read_all`] reads.
pub(super) const PAGES: usize = 32;
/// Pieces of the large page that are read.
const PIECES: u64 = 16;
/// Tries of each state, of which the one with the least ticks counts: a disturbance only adds.
const TRIES: u32 = 15;

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct Page(#[expect(dead_code, reason = "read by its address")] [u8; PAGE_SIZE as usize]);

/// Zeros that could be written to, though nobody does, and so no part of the image's file.
static mut PAGES_TO_READ: [Page; PAGES + 1] = [Page([0; PAGE_SIZE as usize]); PAGES + 1];

/// Reads the pages but the first, and returns how many ticks that took.
pub(super) fn read_all() -> u64 {
    let start = tsc::read();
    let first = (&raw const PAGES_TO_READ).cast::<Page>();
    for page in 1..=PAGES {
        // SAFETY: within the static.
        let page = unsafe { first.add(page) };
        // SAFETY: nobody writes to it; the read has to happen.
        unsafe { ptr::read_volatile(page.cast::<u8>()) };
    }
    tsc::read() - start
}

/// Looks; `None` where nothing can be seen, or no leaf of 2 MiB or more is there.
pub(super) fn look(machine: &mut Machine) -> Option<bool> {
    let order = Order::for_frames(PageSize::Size2M.frames())?;
    let block = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order).ok()?;
    let leaf = machine.frame_address(block.pfn());
    let size = machine.kernel.table.translate(leaf).map(|leaf| leaf.size());
    let found = match size {
        Some(PageSize::Size2M | PageSize::Size1G) => look_beside(leaf),
        _ => None,
    };
    // It was ours, and is whole.
    let _ = machine.kernel.frames.free(block);
    found
}

/// Reads words of the large page, each in another 4 KiB of it.
fn read_leaf(leaf: VirtAddr) {
    for piece in 0..PIECES {
        let word = (leaf.0 + piece * PAGE_SIZE) as *const u64;
        // SAFETY: the block behind it is the caller's; it has to happen.
        unsafe { ptr::read_volatile(word) };
    }
}

fn look_beside(leaf: VirtAddr) -> Option<bool> {
    let other = VirtAddr(&raw const PAGES_TO_READ as u64);
    let mut reloads = Reloads {
        warm: u64::MAX,
        after_invlpg: u64::MAX,
        after_flush: u64::MAX,
    };
    for _ in 0..TRIES {
        read_all();
        reloads.warm = reloads.warm.min(read_all());
        read_leaf(leaf);
        invlpg(other);
        reloads.after_invlpg = reloads.after_invlpg.min(read_all());
        flush_everything();
        reloads.after_flush = reloads.after_flush.min(read_all());
    }
    fractured(reloads)
}
