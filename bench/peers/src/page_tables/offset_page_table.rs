//! `x86_64`: `OffsetPageTable`, a page at a time, each by a walk from the root. Every walk checks for missing tables, and frees none.

use x86_64::instructions::tlb;
use x86_64::structures::paging::mapper::MapperFlush;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size4KiB,
    Translate,
};
use x86_64::{PhysAddr, VirtAddr};

use super::{CEILING, PageTables, TABLE_FRAMES};

const READ: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
const READ_WRITE: PageTableFlags = READ.union(PageTableFlags::WRITABLE);

/// The crate's mapper over all physical memory at an offset.
pub struct Offset {
    tables: OffsetPageTable<'static>,
    root: u64,
    free: Free,
}

/// Frames for tables.
struct Free {
    next: PhysFrame,
    end: PhysFrame,
}

// SAFETY: each frame is given out once, and is nobody else's (promised to `Offset::new`).
unsafe impl FrameAllocator<Size4KiB> for Free {
    #[inline]
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = self.next;
        if frame >= self.end {
            return None;
        }
        self.next += 1;
        Some(frame)
    }
}

impl Offset {
    /// A tree with an empty root.
    ///
    /// # Safety
    ///
    /// Physical memory lies at `window`, and [`TABLE_FRAMES`] frames from `frames` on are this value's for as long as it or its
    /// root is used.
    pub unsafe fn new(window: u64, frames: u64) -> Self {
        let root = (window + frames) as *mut PageTable;
        let first = PhysFrame::containing_address(PhysAddr::new(frames));
        // SAFETY: the caller's promise.
        unsafe { root.write(PageTable::new()) };
        // SAFETY: the root was written, and is this value's.
        let root = unsafe { &mut *root };
        // SAFETY: physical memory lies at `window` (the caller's promise).
        let tables = unsafe { OffsetPageTable::new(root, VirtAddr::new(window)) };
        Offset {
            tables,
            root: frames,
            free: Free {
                next: first + 1,
                end: first + TABLE_FRAMES,
            },
        }
    }
}

/// The pages from `start` on. `PageRange` would do the same, but checks every address anew.
#[inline]
fn pages_from(start: u64, pages: u64) -> impl Iterator<Item = Page> {
    let page = move |number| start + number * crate::FRAME_BYTES as u64;
    (0..pages).map(move |number| Page::containing_address(VirtAddr::new_truncate(page(number))))
}

/// The flush of one of `pages` pages.
#[inline]
fn flush_one(flush: MapperFlush<Size4KiB>, pages: u64) {
    if pages <= CEILING {
        flush.flush();
    } else {
        flush.ignore();
    }
}

/// What [`flush_one`] left out.
#[inline]
fn flush_rest(pages: u64) {
    if pages > CEILING {
        tlb::flush_all();
    }
}

impl PageTables for Offset {
    fn root(&self) -> u64 {
        self.root
    }

    #[inline]
    fn map(&mut self, start: u64, physical: u64, pages: u64) -> bool {
        let mut next = PhysAddr::new_truncate(physical);
        for page in pages_from(start, pages) {
            let frame = PhysFrame::containing_address(next);
            next = PhysAddr::new_truncate(next.as_u64() + frame.size());
            // SAFETY: the caller owns the frames and the addresses.
            let mapped = unsafe { self.tables.map_to(page, frame, READ_WRITE, &mut self.free) };
            match mapped {
                Ok(flush) => flush.ignore(),
                Err(_) => return false,
            }
        }
        true
    }

    #[inline]
    fn protect(&mut self, start: u64, pages: u64) -> bool {
        for page in pages_from(start, pages) {
            // SAFETY: the caller does not write there any more.
            match unsafe { self.tables.update_flags(page, READ) } {
                Ok(flush) => flush_one(flush, pages),
                Err(_) => return false,
            }
        }
        flush_rest(pages);
        true
    }

    #[inline]
    fn unmap(&mut self, start: u64, pages: u64) -> bool {
        for page in pages_from(start, pages) {
            match self.tables.unmap(page) {
                Ok((_, flush)) => flush_one(flush, pages),
                Err(_) => return false,
            }
        }
        flush_rest(pages);
        true
    }

    #[inline]
    fn translate(&self, address: u64) -> Option<u64> {
        let found = self.tables.translate_addr(VirtAddr::new(address))?;
        Some(found.as_u64())
    }
}
