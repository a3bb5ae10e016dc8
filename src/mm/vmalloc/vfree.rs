//! `vfree`: an area's entries, its frames and its addresses go back (the book's section 7.3).
//!
//! An address that no area of vmalloc starts at is refused by its reason, and nothing has changed. What was taken from the search and
//! cannot be unmapped is an area again. The other calls that end an area, of [`map`](super::map) and [`io`](super::io), share
//! this.

use core::ops::Range;

use super::{Area, AreaSearch, Contents, Freeing, Kind, LARGE, Owned, Place, VfreeError, Vmalloc};
use crate::mm::address::{PAGE_SIZE, VirtAddr};
use crate::mm::frame::{Block, BlockList};
use crate::mm::hardware::TlbInvalidate;
use crate::mm::kernel_map::{KernelConfig, KernelMemory};
use crate::mm::page_table::{ChangeError, Mapping, Protection};
use crate::mm::tlb::{PendingFlush, Tlb};

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// Frees an area, and its frames.
    ///
    /// # Errors
    ///
    /// As for [`vfree_at`](Self::vfree_at): a vmap area, or one that was freed by its address before.
    #[inline(always)]
    pub fn vfree(
        &mut self,
        area: Area,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let (start, slot) = (area.start, area.slot);
        match area.bytes {
            ..=PAGE_SIZE => match self.release_block(start, slot, true, kernel) {
                Some(block) => match kernel.cache_page(block) {
                    Ok(()) => Ok(()),
                    Err(block) => free_block(block, kernel),
                },
                None => self.release_few(start, slot, kernel),
            },
            bytes if bytes < LARGE => self.release_few(start, slot, kernel),
            _ => self.release(start, slot, kernel),
        }
    }

    /// The way back of [`serve_block`](Self::serve_block): the block that was an area's, or `None`, and nothing has changed. With
    /// `single` only of a page, which the compiler knows then.
    #[inline(always)]
    fn release_block(
        &mut self,
        start: VirtAddr,
        slot: u32,
        single: bool,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Option<Block> {
        let (look, take) = (Contents::block, Contents::into_block);
        self.release_at_hand(start, slot, single, look, take, kernel)
    }

    /// The shortest way to end an area whose contents `look` finds and `take` takes out, when all of its entries are at hand in the
    /// PT that was edited last: what it owned, or `None`, and nothing has changed. With `single` only of a page.
    #[inline(always)]
    pub(super) fn release_at_hand<F>(
        &mut self,
        start: VirtAddr,
        slot: u32,
        single: bool,
        look: impl Fn(&Contents) -> Option<&Mapping<F>>,
        take: impl Fn(Contents) -> Option<Mapping<F>>,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Option<F> {
        let area = self.areas.area_at(start, slot)?;
        let pages = look(area.contents()?)?.pages();
        if single && pages != 1 {
            return None;
        }
        let mapped = self.owned.mapped_pages(start, pages)?;
        // Just looked at, so that nothing is lost here.
        let (place, contents) = area.take()?;
        let unmapped = mapped.unmap_owned(take(contents)?).also(place);
        let areas = &mut self.areas;
        Some(self.freeing.retire(unmapped, pages, areas, &kernel.tlb))
    }

    /// Frees the area that starts at `address`, and its frames.
    ///
    /// # Errors
    ///
    /// No area of vmalloc starts there, or its pages were unmapped behind vmalloc's back. Nothing has changed.
    pub fn vfree_at(
        &mut self,
        address: VirtAddr,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        match self.areas.slot_of(address) {
            Some(slot) => self.release_few(address, slot, kernel),
            None => Err(self.refusal(address, Kind::Vmalloc)),
        }
    }

    /// Frees an area of more than a page; in the shortest way if it can be.
    #[inline(never)]
    fn release_few(
        &mut self,
        start: VirtAddr,
        slot: u32,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        if let Some(block) = self.release_block(start, slot, false, kernel) {
            return kernel.free_block(block).map_err(VfreeError::Frames);
        }
        let (look, take) = (Contents::frames, Contents::into_frames);
        match self.release_at_hand(start, slot, false, look, take, kernel) {
            Some(list) => kernel.frames.free_list(list).map_err(VfreeError::Frames),
            None => self.release(start, slot, kernel),
        }
    }

    /// Frees an area of any size.
    #[cold]
    #[inline(never)]
    fn release(
        &mut self,
        start: VirtAddr,
        slot: u32,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let area = self.areas.area_at(start, slot);
        let ours = |area: &Owned<'_, _>| {
            let contents = area.contents();
            contents.is_some_and(|contents: &Contents| contents.kind() == Kind::Vmalloc)
        };
        match area.filter(ours).and_then(Owned::take) {
            Some((place, Contents::Frames(mapping))) => {
                let pages = mapping.pages();
                let unmapped = self.owned.unmap_owned(mapping);
                let list = self.settle(unmapped, place, pages, Contents::Frames, &kernel.tlb)?;
                kernel.frames.free_list(list).map_err(VfreeError::Frames)
            }
            Some((place, Contents::Block(mapping))) => {
                let pages = mapping.pages();
                let unmapped = self.owned.unmap_owned(mapping);
                let block = self.settle(unmapped, place, pages, Contents::Block, &kernel.tlb)?;
                free_block(block, kernel)
            }
            Some((place, Contents::Flushed(mapping))) => {
                self.release_flushed(place, mapping, kernel)
            }
            _ => Err(self.refusal(start, Kind::Vmalloc)),
        }
    }

    /// Frees an area that was executable, or whose protection was changed: while a CPU may still fetch from its addresses, its
    /// frames are nobody else's, and the direct map's aliases of them not writable.
    fn release_flushed(
        &mut self,
        place: Place,
        mapping: Mapping<BlockList>,
        kernel: &mut KernelMemory<'_, C>,
    ) -> Result<(), VfreeError> {
        let executable = is_executable(&mapping, kernel);
        let unmapped = match self.owned.unmap_owned(mapping) {
            Ok(unmapped) => unmapped,
            Err((error, mapping)) => {
                self.areas.put_back(place, Contents::Flushed(mapping));
                return Err(VfreeError::Pages(error));
            }
        };
        let list = unmapped.flush(&kernel.tlb);
        self.areas.cancel(place);
        if executable {
            kernel
                .protect_aliases(&list, Protection::READ_WRITE)
                .map_err(VfreeError::Pages)?;
        }
        kernel.frames.free_list(list).map_err(VfreeError::Frames)
    }

    /// Retires an area of `pages` pages that was taken and unmapped, and returns what it owned; if its mapping could not be
    /// unmapped it is an area again.
    #[inline]
    pub(super) fn settle<F, I: TlbInvalidate>(
        &mut self,
        unmapped: Result<PendingFlush<F>, (ChangeError, Mapping<F>)>,
        place: Place,
        pages: u64,
        contents: fn(Mapping<F>) -> Contents,
        tlb: &Tlb<I>,
    ) -> Result<F, VfreeError> {
        match unmapped {
            Ok(unmapped) => {
                let areas = &mut self.areas;
                Ok(self.freeing.retire(unmapped.also(place), pages, areas, tlb))
            }
            Err((error, mapping)) => {
                self.areas.put_back(place, contents(mapping));
                Err(VfreeError::Pages(error))
            }
        }
    }

    /// Why there is nothing to free at an address by the call for `wanted`.
    #[cold]
    #[inline(never)]
    pub(super) fn refusal(&self, address: VirtAddr, wanted: Kind) -> VfreeError {
        let found = self.areas.get(address).map(Contents::kind);
        if let Some(found) = found.filter(|&found| found != wanted) {
            return VfreeError::WrongKind {
                address,
                wanted,
                found,
            };
        }
        if address.0 == 0 {
            return VfreeError::Null;
        }
        if !address.is_aligned(PAGE_SIZE) {
            return VfreeError::Misaligned { address };
        }
        if !self.areas.region().contains(&address) {
            return VfreeError::OutsideRegion { address };
        }
        if self.areas.is_taken(address) {
            return VfreeError::AlreadyFreed { address };
        }
        let around = |(range, _): &(Range<VirtAddr>, _)| range.contains(&address);
        match self.areas.areas().find(around) {
            Some((range, _)) => VfreeError::InsideArea {
                address,
                start: range.start,
            },
            None => VfreeError::NoArea { address },
        }
    }
}

/// Whether a mapping is of code. All of its pages have one protection.
pub(super) fn is_executable<F, C: KernelConfig>(
    mapping: &Mapping<F>,
    kernel: &KernelMemory<'_, C>,
) -> bool {
    let leaf = kernel.table.translate(mapping.start());
    leaf.is_some_and(|leaf| leaf.protection().is_executable())
}

/// Frees a block that does not go into the cache of frames.
#[cold]
#[inline(never)]
fn free_block<C: KernelConfig>(
    block: Block,
    kernel: &mut KernelMemory<'_, C>,
) -> Result<(), VfreeError> {
    kernel.free_block(block).map_err(VfreeError::Frames)
}
