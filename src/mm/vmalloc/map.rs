//! vmap: frames that the caller has, side by side in virtual addresses. They stay the caller's, as in 2.6.

use super::reserved::Reserved;
use super::{Area, AreaSearch, Contents, Freeing, Kind, VfreeError, Vmalloc, VmapError};
use crate::mm::address::{PageSize, Pfn, VirtAddr};
use crate::mm::frame::Buddy;
use crate::mm::hardware::{PhysicalMemory, TlbInvalidate};
use crate::mm::kernel_map::KernelMemory;
use crate::mm::page_table::Protection;

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<S, P> {
    /// Maps `frames`, in this order, to an area of as many pages. A frame may come more than once, and in other areas.
    ///
    /// # Errors
    ///
    /// No frames, more frames than the machine has, or want of addresses or tables. Nothing has changed but tables that were
    /// made.
    #[inline]
    pub fn vmap<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<Area, VmapError> {
        let count = frames.len() as u64;
        if count == 0 {
            return Err(VmapError::NoFrames);
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

    #[inline(always)]
    fn map<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<Area, VmapError> {
        let count = frames.len() as u64;
        let reserved = Reserved::new(&mut self.areas, count + 1, 1)?;
        let (table, mut tables) = kernel.table_and_tables();
        let (start, largest) = (reserved.start(), PageSize::Size4K);
        let mapping = table
            .map_owned(start, (), frames, protection, largest, &mut tables)
            .map_err(|(error, ())| error)?;
        Ok(reserved.commit(Contents::Borrowed(mapping)))
    }

    #[cold]
    #[inline(never)]
    fn map_after_reclaim<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        error: VmapError,
        frames: &[Pfn],
        protection: Protection,
        kernel: &mut KernelMemory<'_, M, I, B>,
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
    pub fn vunmap<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        area: Area,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<(), VfreeError> {
        self.release(area.start, Some(area.slot), Kind::Vmap, kernel)
    }

    /// Unmaps the area of vmap that starts at `address`; its frames stay as they are.
    ///
    /// # Errors
    ///
    /// No such area starts there, or its pages were unmapped behind vmalloc's back, which is only noticed if few others are
    /// mapped nearby. Nothing has changed.
    pub fn vunmap_at<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy>(
        &mut self,
        address: VirtAddr,
        kernel: &mut KernelMemory<'_, M, I, B>,
    ) -> Result<(), VfreeError> {
        self.release(address, None, Kind::Vmap, kernel)
    }
}
