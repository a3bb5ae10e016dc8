//! Floor 8: vmalloc, memory that is contiguous in virtual addresses only (the book's chapter 7).
//!
//! ```text
//! Vmalloc          the region: vmalloc and its variants             (this file)
//!   vfree          the way back of all of them
//!   request        what can be asked for: alignment, zones, protection, zeros, huge pages
//!   protect        what an area allows, and code
//!   map            vmap and vunmap: the frames stay their owner's
//!   io             ioremap and iounmap: memory of devices
//!   access         vread, vwrite, vmalloc_to_page, vmallocinfo
//!   search         which addresses are taken, and where the next area goes
//!   freeing        when the flush of a freed area is done, and what waits for it
//!   contents       what an area owns
//!   reserve        addresses that a CPU of several hands out by itself
//! ```
//!
//! An area is a range of the region with a guard page behind it that is never mapped. It is populated in two phases: first
//! the addresses, all frames and the tables, any of which may be wanting, and then all entries in one walk, which cannot fail.
//! So what fails half-way has no entry to undo.
//!
//! Two type parameters: how a free range is found (`S`: [`GapTree`], the book's [`FirstFit`], or [`InstantFit`]), and when the
//! flush is done that freeing owes (`P`: [`Lazy`], or [`Eager`]). Addresses are never given out again before their flush.

#![forbid(unsafe_code)]

mod access;
mod area;
mod contents;
mod error;
mod freeing;
mod io;
mod map;
mod protect;
mod request;
mod reserve;
mod search;
mod vfree;

#[cfg(test)]
mod tests;

pub use access::AreaInfo;
pub use area::Area;
pub use contents::{Contents, Kind};
pub use error::{ProtectError, VfreeError, VmallocError, VmapError};
pub use freeing::{Eager, Freeing, Lazy, Waiting};
pub use io::{Caching, IoArea, IoremapError};
pub use request::Request;
pub use search::{
    AreaSearch, FirstFit, Fit, Found, GapTree, InstantFit, Kept, ListSlot, Owned, Place, Places,
    SearchError, TagSlot, TreeNode, TreeSlot,
};

use super::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use super::frame::{Block, BlockList, Gfp};
use super::kernel_map::{KernelConfig, KernelMemory};
use super::page_table::{Mapping, NoOtherRoot, OwnedRange, RangeError, Tables};
use super::tlb::PendingFlush;

/// Bytes that one large leaf maps.
const LARGE: u64 = PageSize::Size2M.bytes();

/// The vmalloc region.
pub struct Vmalloc<C: KernelConfig, S, P> {
    /// Its addresses, which the areas share out.
    owned: OwnedRange<C::Memory>,
    areas: S,
    freeing: P,
}

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// The region `owned`, which `areas` searches, freed as `freeing` says. What `areas` finds elsewhere is not mapped.
    pub const fn new(owned: OwnedRange<C::Memory>, areas: S, freeing: P) -> Self {
        Vmalloc {
            owned,
            areas,
            freeing,
        }
    }

    /// Ends the region: its addresses, which no flush is owed for any more, are their owner's again, with what is mapped there still.
    pub fn into_owned(mut self, kernel: &KernelMemory<'_, C>) -> OwnedRange<C::Memory> {
        self.purge(kernel);
        self.owned
    }

    /// When flushes are done.
    #[must_use]
    pub const fn freeing(&self) -> &P {
        &self.freeing
    }

    /// Areas that are in use.
    #[must_use]
    pub fn live(&self) -> usize {
        self.areas.taken() - self.freeing.waiting().areas
    }

    /// Areas that were freed, but whose addresses wait for a flush.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.freeing.waiting()
    }

    /// Allocates an area of `bytes` bytes, rounded up to pages, readable and writable; its content is what the frames held.
    ///
    /// # Errors
    ///
    /// A size that cannot be served, or want of addresses, of frames or of tables. Frames and areas are as before; tables that
    /// were made stay.
    #[inline]
    pub fn vmalloc(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.serve(Request::new(bytes), kernel)
    }

    /// [`vmalloc`](Self::vmalloc), full of zeros.
    ///
    /// # Errors
    ///
    /// As for `vmalloc`.
    pub fn vzalloc(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.vmalloc_with(Request::new(bytes).zeroed(), kernel)
    }

    /// [`vmalloc`](Self::vmalloc), from frames below 16 MiB.
    ///
    /// # Errors
    ///
    /// As for `vmalloc`.
    pub fn vmalloc_dma(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.vmalloc_with(Request::new(bytes).gfp(Gfp::KERNEL | Gfp::DMA), kernel)
    }

    /// [`vmalloc`](Self::vmalloc), from frames below 4 GiB.
    ///
    /// # Errors
    ///
    /// As for `vmalloc`.
    pub fn vmalloc_32(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.vmalloc_with(Request::new(bytes).gfp(Gfp::KERNEL | Gfp::DMA32), kernel)
    }

    /// [`vmalloc`](Self::vmalloc), with 2 MiB leaves as far as the size and the frames allow.
    ///
    /// # Errors
    ///
    /// As for `vmalloc`.
    pub fn vmalloc_huge(
        &mut self,
        bytes: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.vmalloc_with(Request::new(bytes).huge(), kernel)
    }

    /// Allocates an area as `request` says: 2.4's `__vmalloc`.
    ///
    /// # Errors
    ///
    /// As for [`vmalloc`](Self::vmalloc).
    pub fn vmalloc_with(
        &mut self,
        request: Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        self.serve(request, kernel)
    }

    /// [`vmalloc_with`](Self::vmalloc_with), compiled anew for each caller: nearly all that an ordinary request asks for is
    /// known there.
    #[inline(always)]
    fn serve(
        &mut self,
        request: Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        if request.protection.is_executable() {
            return self.serve_code(request, kernel);
        }
        if let 1..=PAGE_SIZE = request.bytes
            && let Some(area) = self.serve_block(&request, Order::ZERO, kernel)
        {
            return Ok(area);
        }
        self.serve_some(request, kernel)
    }

    /// As many pages as a block of `order` has frames, when all is at hand: addresses, the block, and the PT that was edited
    /// last. `None` says nothing about the request; then nothing has changed.
    #[inline(always)]
    fn serve_block(
        &mut self,
        request: &Request,
        order: Order,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Option<Area> {
        if request.zeroed || request.align != PAGE_SIZE || kernel.frames.has_high_memory() {
            return None;
        }
        let pages = order.frames();
        let with_guard = pages + u64::from(request.guard);
        let fit = self.areas.find(with_guard, PAGE_SIZE).ok()?;
        let (start, gfp) = (fit.start(), request.gfp - Gfp::HIGHMEM);
        let mapping =
            kernel.map_block_at_hand(&mut self.owned, start, order, gfp, request.protection)?;
        Some(Area {
            start,
            bytes: pages * PAGE_SIZE,
            slot: fit.occupy(Contents::Block(mapping)),
        })
    }

    /// Any number of pages.
    #[inline(never)]
    fn serve_some(
        &mut self,
        request: Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        // What may have large leaves has tables to make room for.
        if request.bytes < LARGE
            && let Some(order) = block_of(request.bytes.div_ceil(PAGE_SIZE))
            && order > Order::ZERO
            && let Some(area) = self.serve_block(&request, order, kernel)
        {
            return Ok(area);
        }
        // A single frame comes out of the cache, which is refilled for it.
        if request.bytes > PAGE_SIZE
            && let Some(area) = self.serve_as_it_lies(&request, kernel)
        {
            return Ok(area);
        }
        self.serve_any(request, true, kernel)
    }

    /// An ordinary request for any number of pages, when the first zone has as many frames, in blocks of any size. `None` says nothing
    /// about the request; then nothing but tables has changed.
    #[inline(never)]
    fn serve_as_it_lies(
        &mut self,
        request: &Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Option<Area> {
        // Large leaves want blocks as large.
        if request.zeroed
            || request.huge
            || request.align != PAGE_SIZE
            || kernel.frames.has_high_memory()
        {
            return None;
        }
        let pages = request.bytes.div_ceil(PAGE_SIZE);
        let with_guard = pages + u64::from(request.guard);
        let fit = self.areas.find(with_guard, PAGE_SIZE).ok()?;
        let (start, gfp) = (fit.start(), request.gfp - Gfp::HIGHMEM);
        let mapping =
            kernel.map_as_it_lies(&mut self.owned, start, pages, gfp, request.protection)?;
        Some(Area {
            start,
            bytes: pages * PAGE_SIZE,
            slot: fit.occupy(Contents::Frames(mapping)),
        })
    }

    /// Whatever is asked for; once more after a reclaim, if it is `patient`.
    #[cold]
    #[inline(never)]
    fn serve_any(
        &mut self,
        mut request: Request,
        patient: bool,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        // Frames outside the direct map first, as in 2.4: nothing else makes such good use of them.
        if !kernel.frames.has_high_memory() {
            request.gfp -= Gfp::HIGHMEM;
        }
        let bytes = request.bytes;
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
        if !request.align.is_power_of_two() {
            let align = request.align;
            return Err(VmallocError::Alignment { align });
        }
        match self.populate(&request, pages, kernel) {
            Err(error) if patient => self.serve_after_reclaim(error, request, kernel),
            populated => populated,
        }
    }

    /// Tries again with the addresses that were waiting for a flush and the frames that were waiting in the cache, if there
    /// are any.
    #[cold]
    #[inline(never)]
    fn serve_after_reclaim(
        &mut self,
        error: VmallocError,
        request: Request,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        match self.reclaim(kernel) {
            true => self.serve_any(request, false, kernel),
            false => Err(error),
        }
    }

    /// Both phases.
    #[inline]
    fn populate(
        &mut self,
        request: &Request,
        pages: u64,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmallocError> {
        let with_guard = pages + u64::from(request.guard);
        let largest = match request.huge && pages >= PageSize::Size2M.frames() {
            true => PageSize::Size2M,
            false => PageSize::Size4K,
        };
        let fit = self
            .areas
            .find(with_guard, request.align.max(largest.bytes()))?;
        let start = fit.start();
        if largest > PageSize::Size4K {
            make_room_for_large_leaves(&mut self.owned, start, pages, kernel);
        }
        let owned = &mut self.owned;
        let contents = match alloc_block(pages, request, kernel)? {
            Some(block) => {
                Contents::Block(map_block(owned, start, block, largest, request, kernel)?)
            }
            None => Contents::Frames(map_frames(owned, start, pages, largest, request, kernel)?),
        };
        Ok(Area {
            start,
            bytes: pages * PAGE_SIZE,
            slot: fit.occupy(contents),
        })
    }

    /// Frees what waits to be free. Whether anything did.
    #[cold]
    #[inline(never)]
    fn reclaim(&mut self, kernel: &mut KernelMemory<'_, C>) -> bool {
        let purged = self.purge(kernel).areas > 0;
        let drained = kernel.drain_frame_cache() > 0;
        purged || drained
    }

    /// Takes the tables of a range of the region out that map nothing, those that the root leads to among them, as
    /// [`OwnedRange::release_tables_of_root`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn release_tables_of_root(
        &mut self,
        start: VirtAddr,
        pages: u64,
        alone: NoOtherRoot,
    ) -> Result<PendingFlush<Tables>, RangeError> {
        self.owned.release_tables_of_root(start, pages, alone)
    }

    /// Flushes for all areas that wait, so that their addresses can be given out again.
    pub fn purge(&mut self, kernel: &KernelMemory<'_, C>) -> Waiting {
        self.freeing.purge(&mut self.areas, &kernel.tlb)
    }
}

/// Takes the empty tables of earlier areas out of a range: where one stands there is no large leaf.
#[inline(never)]
fn make_room_for_large_leaves<C: KernelConfig>(
    owned: &mut OwnedRange<C::Memory>,
    start: VirtAddr,
    pages: u64,
    kernel: &mut KernelMemory<'_, C>,
) {
    // Where none stood, nothing is owed.
    if let Ok(pending) = owned.release_tables(start, pages)
        && pending.waiting().count() > 0
    {
        let tables = pending.flush(&kernel.tlb);
        // They came from there: they can only go back.
        let _ = kernel.free_tables(tables);
    }
}

/// The order of a block of `pages` frames, if there is one.
#[inline]
pub(in crate::mm) const fn block_of(pages: u64) -> Option<Order> {
    match pages.is_power_of_two() {
        true => Order::new(pages.trailing_zeros() as u8),
        false => None,
    }
}

/// All frames as one block. `None` if there is none, and a list of smaller ones may do.
#[inline]
fn alloc_block<C: KernelConfig>(
    pages: u64,
    request: &Request,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<Option<Block>, VmallocError> {
    let Some(order) = block_of(pages) else {
        return Ok(None);
    };
    let block = match request.zeroed {
        false => kernel.alloc_block(request.gfp, order),
        true => kernel.alloc_zeroed_block(request.gfp, order),
    };
    match block {
        Err(error) if order == Order::ZERO => Err(error.into()),
        block => Ok(block.ok()),
    }
}

/// The tables of a block, and its entries.
#[inline]
fn map_block<C: KernelConfig>(
    owned: &mut OwnedRange<C::Memory>,
    start: VirtAddr,
    block: Block,
    largest: PageSize,
    request: &Request,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<Mapping<Block>, VmallocError> {
    let (first, protection) = (block.pfn(), request.protection);
    let frames = first..first.add(block.order().frames());
    match owned.map_owned(
        start,
        block,
        frames,
        protection,
        largest,
        &mut kernel.tables(),
    ) {
        Ok(mapping) => Ok(mapping),
        Err((error, block)) => {
            // Just allocated, so that it can only go back.
            let _ = kernel.free_block(block);
            Err(error.into())
        }
    }
}

/// All frames, then their tables, and then the entries.
#[inline]
fn map_frames<C: KernelConfig>(
    owned: &mut OwnedRange<C::Memory>,
    start: VirtAddr,
    pages: u64,
    largest: PageSize,
    request: &Request,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<Mapping<BlockList>, VmallocError> {
    let list = match request.zeroed {
        false => kernel.frames.alloc_bulk(request.gfp, pages, Order::MAX)?,
        true => kernel.alloc_zeroed_bulk(request.gfp, pages)?,
    };
    match kernel.map_blocks(owned, start, list, request.protection, largest) {
        Ok(mapping) => Ok(mapping),
        Err((error, list)) => {
            // Just allocated, so that they can only go back.
            let _ = kernel.frames.free_list(list);
            Err(error.into())
        }
    }
}
