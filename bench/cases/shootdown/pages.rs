//! Pages that change their contents at once: two frames, of which all pages of the range show the one or the other.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pagemark::cpu::direct_map::DirectMap;
use pagemark::kernel::{Addresses, Kernel};
use pagemark::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::PendingFlush;

use crate::harness::case::Failure;

/// Most pages of a range.
pub const MAX_PAGES: usize = 512;

/// A range of pages, and the two frames that it can show.
pub struct Pages {
    owned: Addresses,
    start: VirtAddr,
    pages: usize,
    frames: [Block; 2],
    windows: [VirtAddr; 2],
    shown: usize,
}

impl Pages {
    /// `pages` pages from `start`, at which nothing is mapped, that show frame 0. Both frames hold 0.
    pub fn new(
        kernel: &mut Kernel,
        direct_map: DirectMap,
        start: VirtAddr,
        pages: usize,
    ) -> Result<Self, Failure> {
        let frames = [
            kernel.frames.alloc_page(Gfp::KERNEL)?,
            kernel.frames.alloc_page(Gfp::KERNEL)?,
        ];
        let windows = [0, 1].map(|frame: usize| direct_map.address(frames[frame].pfn()));
        let aliases = [frames[0].pfn(); MAX_PAGES];
        let mut range = Pages {
            // SAFETY: they lie in the scratch region, which is the case's, and are nobody else's until the value ends.
            owned: unsafe { kernel.table.own(start, pages as u64) },
            start,
            pages,
            frames,
            windows,
            shown: 0,
        };
        for frame in 0..2 {
            range.write(frame, 0);
        }
        range.owned.map(
            start,
            &aliases[..pages],
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut kernel.tables(),
        )?;
        Ok(range)
    }

    /// The first address.
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// The frame that the pages show, 0 or 1.
    pub const fn shown(&self) -> usize {
        self.shown
    }

    /// Writes the first word of a frame, without touching the pages.
    pub fn write(&self, frame: usize, value: u64) {
        // SAFETY: the frame is ours, mapped there, and its first word is used as an atomic alone.
        unsafe { &*(self.windows[frame].0 as *const AtomicU64) }.store(value, Relaxed);
    }

    /// Has all pages show the other frame. The flush is owed.
    pub fn turn(&mut self, _: &mut Kernel) -> Result<PendingFlush, Failure> {
        let shown = 1 - self.shown;
        let aliases: [Pfn; MAX_PAGES] = [self.frames[shown].pfn(); MAX_PAGES];
        let pending = self.owned.remap(self.start, &aliases[..self.pages])?;
        self.shown = shown;
        Ok(pending)
    }

    /// The first page and the last one.
    pub const fn ends(&self) -> [VirtAddr; 2] {
        let last = VirtAddr(self.start.0 + (self.pages as u64 - 1) * PAGE_SIZE);
        [self.start, last]
    }

    /// Unmaps the pages and frees the frames.
    pub fn end(mut self, kernel: &mut Kernel) -> Result<(), Failure> {
        let owed = self.owned.unmap(self.start, self.pages as u64)?;
        owed.flush(&kernel.tlb);
        for frame in self.frames {
            kernel.frames.free(frame)?;
        }
        Ok(())
    }
}

/// What the first word of a page shows to this CPU. The page belongs to a [`Pages`] that has not ended.
pub fn look(page: VirtAddr) -> u64 {
    // SAFETY: the page is mapped until the range ends, and its first word is used as an atomic alone.
    unsafe { &*(page.0 as *const AtomicU64) }.load(Relaxed)
}
