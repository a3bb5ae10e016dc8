//! vmap: frames that the caller has, side by side in virtual addresses. They stay the caller's, as in 2.6.

use super::{Area, AreaSearch, Contents, Freeing, Kind, Owned, VfreeError, Vmalloc, VmapError};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::Protection;

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// Maps `frames`, in this order, to an area of as many pages. A frame may come more than once, and in other areas.
    ///
    /// # Errors
    ///
    /// No frames, more frames than the machine has, code, or want of addresses or tables. Nothing has changed but tables that were
    /// made.
    #[inline]
    pub fn vmap(
        &mut self,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmapError> {
        if let [frame] = *frames
            && !protection.is_executable()
            && let Some(area) = self.map_one(frame, protection)
        {
            return Ok(area);
        }
        self.map_any(frames, protection, kernel)
    }

    /// A single frame, when all is at hand: addresses, and the PT that was edited last. `None` says nothing about the request.
    #[inline(always)]
    fn map_one(&mut self, frame: Pfn, protection: Protection) -> Option<Area> {
        let fit = self.areas.find(2, PAGE_SIZE).ok()?;
        let start = fit.start();
        let page = self.owned.vacant_pages(start, 1)?;
        let slot = fit.occupy(Contents::Borrowed(page.map_owned((), frame, protection)));
        Some(Area {
            start,
            bytes: PAGE_SIZE,
            slot,
        })
    }

    /// Any frames.
    #[inline(never)]
    fn map_any(
        &mut self,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmapError> {
        let count = frames.len() as u64;
        if count == 0 {
            return Err(VmapError::NoFrames);
        }
        if protection.is_executable() {
            return Err(VmapError::Code);
        }
        let present = kernel.present_frames();
        if count > present {
            return Err(VmapError::MoreThanRam { count, present });
        }
        match self.map(frames, protection, kernel) {
            Err(error) => self.map_after_reclaim(error, frames, protection, kernel),
            mapped => mapped,
        }
    }

    #[inline]
    fn map(
        &mut self,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmapError> {
        let count = frames.len() as u64;
        let fit = self.areas.find(count + 1, PAGE_SIZE)?;
        let mut tables = kernel.tables();
        let (start, largest) = (fit.start(), PageSize::Size4K);
        let mapping = self
            .owned
            .map_owned(start, (), frames, protection, largest, &mut tables)
            .map_err(|(error, ())| error)?;
        Ok(Area {
            start,
            bytes: count * PAGE_SIZE,
            slot: fit.occupy(Contents::Borrowed(mapping)),
        })
    }

    #[cold]
    #[inline(never)]
    fn map_after_reclaim(
        &mut self,
        error: VmapError,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<Area, VmapError> {
        if !self.reclaim(kernel) {
            return Err(error);
        }
        self.map(frames, protection, kernel)
    }

    /// Unmaps an area of vmap; its frames stay as they are.
    ///
    /// # Errors
    ///
    /// As for [`vunmap_at`](Self::vunmap_at): an area of vmalloc, or one that was unmapped by its address before.
    #[inline]
    pub fn vunmap(
        &mut self,
        area: Area,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        self.unmap_slot(area.start, area.slot, kernel)
    }

    /// Unmaps the area of a slot, if it starts at `start`.
    #[inline(always)]
    fn unmap_slot(
        &mut self,
        start: VirtAddr,
        slot: u32,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let (look, take) = (Contents::borrowed, Contents::into_borrowed);
        match self.release_at_hand(start, slot, true, look, take, kernel) {
            Some(()) => Ok(()),
            None => self.unmap_any(start, slot, kernel),
        }
    }

    /// Unmaps the area of vmap that starts at `address`; its frames stay as they are.
    ///
    /// # Errors
    ///
    /// No such area starts there, or its pages were unmapped behind vmalloc's back, which is only noticed if few others are
    /// mapped nearby. Nothing has changed.
    pub fn vunmap_at(
        &mut self,
        address: VirtAddr,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        match self.areas.slot_of(address) {
            Some(slot) => self.unmap_slot(address, slot, kernel),
            None => Err(self.refusal(address, Kind::Vmap)),
        }
    }

    /// Unmaps an area of any size.
    #[inline(never)]
    fn unmap_any(
        &mut self,
        start: VirtAddr,
        slot: u32,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let area = self.areas.area_at(start, slot);
        let borrowed = |area: &Owned<'_, _>| matches!(area.contents(), Some(Contents::Borrowed(_)));
        let taken = area.filter(borrowed).and_then(Owned::take);
        let Some((place, Contents::Borrowed(mapping))) = taken else {
            return Err(self.refusal(start, Kind::Vmap));
        };
        let pages = mapping.pages();
        let unmapped = self.owned.unmap_borrowed(mapping);
        self.settle(unmapped, place, pages, Contents::Borrowed, &kernel.tlb)
    }
}
