//! Makes the state of the machine before a round the same, whatever ran before it.
//!
//! In a run of one pass a round of a case follows the last round of the same case; in a run of many passes it follows another case. Caches,
//! predictors and TLBs then hold something else. So does QEMU's translator, whose TLB grows with what was used in the last 100 ms, and
//! whose flush takes as long as that TLB is large. So the same thing happens before each round, outside of what is timed: one word of each of many
//! pages is read, every translation is dropped, and the case takes [`SETTLING`] samples that are not kept.
//!
//! On a clock that counts instructions there is no such state, and none of this happens. A process takes its rounds otherwise
//! ([`super::round`]).

use core::mem::MaybeUninit;
use core::slice;

use pagemark::cpu::invalidate::LocalTlb;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::hardware::TlbInvalidate;
use pagemark::mm::page_table::Protection;
use pagemark_bracket::spread;

use super::case::Failure;

/// Samples between the flush and the round, which are not kept. With one the figures of one pass and of many still differ.
pub const SETTLING: u32 = 2;

/// Most pages: more translations than a TLB holds, and than a case of the quick suite uses between two flushes.
const PAGES: u64 = 12_288;
/// Most frames behind them: 4 MiB.
const FRAMES: Order = Order::new(10).unwrap();
/// The pages and the frames are at most one of this many that the machine has.
const SHARE: u64 = 16;

/// The pages that are read before each round.
pub struct Reset {
    start: VirtAddr,
    pages: u64,
    step: u64,
    tlb: LocalTlb,
}

impl Reset {
    /// Takes frames and pages for good: as many as the machine can spare.
    ///
    /// # Errors
    ///
    /// Want of memory, addresses or tables.
    pub fn new(machine: &mut Machine) -> Result<Self, Failure> {
        let free = machine.kernel.frames.free_frames();
        let pages = PAGES
            .min(free / SHARE)
            .min(machine.layout.vmalloc.bytes() / PAGE_SIZE / SHARE)
            .max(1);
        let order = (1..=FRAMES.get())
            .filter_map(Order::new)
            .take_while(|order| order.frames() <= free / SHARE)
            .last()
            .unwrap_or(Order::ZERO);
        let (first, _) = machine
            .kernel
            .frames
            .alloc_pages(Gfp::KERNEL, order)?
            .into_raw();
        let list = Order::for_frames((pages * size_of::<Pfn>() as u64).div_ceil(PAGE_SIZE));
        let list = list.ok_or(Failure::new(format_args!("too many pages for a list")))?;
        let list = machine.kernel.frames.alloc_pages(Gfp::KERNEL, list)?;
        let start = map(machine, &list, first, order, pages);
        machine.kernel.frames.free(list)?;
        Ok(Reset {
            start: start?,
            pages,
            step: spread::step(pages),
            tlb: LocalTlb::new(&machine.features),
        })
    }

    /// Reads the pages, and drops every translation.
    pub fn apply(&self) {
        // SAFETY: the area was taken for good.
        let sum = unsafe { spread::touch(self.start.0, self.pages, self.step) };
        core::hint::black_box(sum);
        self.tlb.flush_all();
    }
}

/// Maps `pages` pages to the frames of a block, again and again. The block `list` has room for the frame number of each page.
fn map(
    machine: &mut Machine,
    list: &Block,
    first: Pfn,
    order: Order,
    pages: u64,
) -> Result<VirtAddr, Failure> {
    let list = machine.frame_address(list.pfn()).0 as *mut MaybeUninit<Pfn>;
    // SAFETY: the block is in the direct map, the caller's, and large enough.
    let list = unsafe { slice::from_raw_parts_mut(list, pages as usize) };
    for (page, entry) in (0..pages).zip(&mut *list) {
        entry.write(first.add(page % order.frames()));
    }
    // SAFETY: each entry was written.
    let list = unsafe { list.assume_init_ref() };
    let area = machine
        .vmalloc
        .vmap(list, Protection::READ, &mut machine.kernel)?;
    Ok(area.into_raw())
}
