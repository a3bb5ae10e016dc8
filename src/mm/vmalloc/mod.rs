//! Floor 6: vmalloc, memory that is contiguous in virtual addresses only.
//!
//! An area is a range of the vmalloc region with a guard page behind it that is never mapped (the book's chapter 7). It is
//! populated in two phases: first all frames, in blocks as large as they can be had, then all entries in one walk. So a
//! failure half-way has nothing but frames to give back.
//!
//! Freeing is strict: clear the entries, flush, and only then give back the frames and the addresses. (2.4 freed the frames
//! before it flushed.) The types keep that order: frames come out of the flush alone.
//!
//! How a free range is found is the type parameter `S`; [`FirstFit`] is the book's list.

#![forbid(unsafe_code)]

mod area;
mod contents;
mod error;
mod first_fit;
mod io;

#[cfg(test)]
mod tests;

pub use area::{AreaSearch, SearchError};
pub use contents::{Contents, Kind};
pub use error::{VfreeError, VmallocError};
pub use first_fit::{FirstFit, Slot};
pub use io::{Caching, IoArea, IoremapError};

use super::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use super::frame::{BlockList, Buddy, BulkError, FrameAllocator, Gfp};
use super::hardware::{PhysicalMemory, TlbInvalidate};
use super::kernel_map::KernelMemory;
use super::page_table::{Mapping, Protection};

/// An area that its holder owns. It goes back by value; dropping it leaks the area.
#[must_use = "the area leaks unless it is freed"]
#[derive(PartialEq, Eq, Debug)]
pub struct Area {
    start: VirtAddr,
    bytes: u64,
}

impl Area {
    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// Bytes that may be used: a whole number of pages.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The guard page: the first address that faults.
    #[must_use]
    pub const fn guard_page(&self) -> VirtAddr {
        VirtAddr(self.start.0 + self.bytes)
    }

    /// Gives up the value but not the area, which [`Vmalloc::vfree_at`] frees by its address.
    #[must_use = "the area leaks unless somebody remembers its address"]
    pub const fn into_raw(self) -> VirtAddr {
        self.start
    }
}

/// The vmalloc region.
#[derive(Debug)]
pub struct Vmalloc<S> {
    areas: S,
}

impl<S: AreaSearch<Contents>> Vmalloc<S> {
    /// The region that `areas` searches.
    pub const fn new(areas: S) -> Self {
        Vmalloc { areas }
    }

    /// Areas that are in use.
    #[must_use]
    pub fn live(&self) -> usize {
        self.areas.live()
    }

    /// Allocates an area of `bytes` bytes, rounded up to pages, readable and writable; its content is what the frames held.
    ///
    /// # Errors
    ///
    /// A size that cannot be served, or want of addresses, of frames or of tables. Frames and areas are as before; tables that
    /// were made stay.
    pub fn vmalloc<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<Area, VmallocError> {
        if bytes == 0 {
            return Err(VmallocError::NoBytes);
        }
        let pages = bytes.div_ceil(PAGE_SIZE);
        let present = kernel.present_frames();
        if pages > present {
            return Err(VmallocError::MoreThanRam {
                bytes,
                present: present * PAGE_SIZE,
            });
        }
        let place = self.areas.reserve(pages + 1)?;
        match populate(place.start, pages, kernel) {
            Ok(mapping) => {
                let start = place.start;
                self.areas.commit(place, Contents::Frames(mapping));
                Ok(Area {
                    start,
                    bytes: pages * PAGE_SIZE,
                })
            }
            Err(error) => {
                self.areas.cancel(place);
                Err(error)
            }
        }
    }

    /// Frees an area.
    ///
    /// # Errors
    ///
    /// Only if the area was freed by its address before, or its pages were unmapped behind vmalloc's back.
    pub fn vfree<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        area: Area,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<(), VfreeError> {
        self.vfree_at(area.start, kernel)
    }

    /// Frees the area that starts at `address`.
    ///
    /// # Errors
    ///
    /// No area starts there, or its pages were unmapped behind vmalloc's back. Nothing has changed.
    pub fn vfree_at<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        address: VirtAddr,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<(), VfreeError> {
        if !address.is_aligned(PAGE_SIZE) {
            return Err(VfreeError::Misaligned { address });
        }
        self.release(address, Kind::Vmalloc, kernel)
    }

    /// Frees the area of the given kind that starts at `address`.
    fn release<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        address: VirtAddr,
        kind: Kind,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<(), VfreeError> {
        let (place, contents) = self
            .areas
            .take(address)
            .ok_or(VfreeError::NoArea { address })?;
        if contents.kind() != kind {
            let found = contents.kind();
            self.areas.commit(place, contents);
            return Err(VfreeError::WrongKind { address, found });
        }
        let unmapped = match contents {
            Contents::Frames(mapping) => kernel
                .table
                .unmap_owned(mapping)
                .map_err(|(error, mapping)| (error, Contents::Frames(mapping))),
            Contents::Device(mapping) => kernel
                .table
                .unmap_owned(mapping)
                .map(|pending| pending.guard(BlockList::EMPTY))
                .map_err(|(error, mapping)| (error, Contents::Device(mapping))),
        };
        match unmapped {
            Ok(pending) => {
                let frames = pending.flush(&kernel.tlb);
                self.areas.cancel(place);
                kernel.frames.free_list(frames).map_err(VfreeError::Frames)
            }
            Err((error, contents)) => {
                self.areas.commit(place, contents);
                Err(VfreeError::Pages(error))
            }
        }
    }
}

/// All frames, then their tables, either of which may be wanting, and then the entries.
#[inline]
fn populate<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
    start: VirtAddr,
    pages: u64,
    kernel: &mut KernelMemory<'_, M, I, B>,
) -> Result<Mapping<BlockList>, VmallocError> {
    let allocator = &mut kernel.frames;
    let frames = if allocator.has_high_memory() {
        high_frames(allocator, pages)?
    } else {
        allocator.alloc_bulk(Gfp::KERNEL, pages, Order::MAX)?
    };
    let protection = Protection::READ_WRITE;
    match kernel.map_blocks(start, frames, protection, PageSize::Size4K) {
        Ok(mapping) => Ok(mapping),
        Err((error, frames)) => {
            // Just allocated, so that they can only go back.
            let _ = kernel.frames.free_list(frames);
            Err(error.into())
        }
    }
}

/// Frames outside the direct map first, as in 2.4: nothing else makes such good use of them.
#[cold]
#[inline(never)]
fn high_frames<B: Buddy>(
    allocator: &mut FrameAllocator<'_, B>,
    pages: u64,
) -> Result<BlockList, BulkError> {
    allocator.alloc_bulk(Gfp::KERNEL | Gfp::HIGHMEM, pages, Order::MAX)
}
