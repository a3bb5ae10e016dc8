//! Addresses of the region that are lent to a CPU, which hands them out by itself ([`shared`](crate::mm::shared)).
//!
//! Borrowed addresses are an area without a page to the search. Their owner may edit their entries beside the region's own.

use super::{AreaSearch, Contents, Freeing, Owned, SearchError, Vmalloc};
use crate::mm::kernel_map::KernelConfig;
use crate::mm::page_table::{ChangeError, Mapping, OwnedRange};
use crate::mm::tlb::PendingFlush;

impl<C: KernelConfig, S: AreaSearch<Contents = Contents>, P: Freeing> Vmalloc<C, S, P> {
    /// Lends `pages` pages at a multiple of `align` bytes. Returns their owner and the slot of the area that keeps them.
    ///
    /// # Errors
    ///
    /// There is no such range, or no room to remember it.
    pub(in crate::mm) fn reserve(
        &mut self,
        pages: u64,
        align: u64,
    ) -> Result<(OwnedRange<C::Memory>, u32), SearchError> {
        let fit = self.areas.find(pages, align)?;
        let start = fit.start();
        let slot = fit.occupy(Contents::Borrowed(Mapping::new(start, 0, ())));
        Ok((self.owned.part(start, pages), slot))
    }

    /// Takes [reserved](Self::reserve) addresses back. Nothing is mapped there, and no flush is owed for them.
    pub(in crate::mm) fn give_back(&mut self, owned: OwnedRange<C::Memory>, slot: u32) {
        if let Some((place, _)) = self
            .areas
            .area_at(owned.start(), slot)
            .and_then(Owned::take)
        {
            self.areas.cancel(place);
        }
    }

    /// Unmaps pages of reserved addresses, for a CPU that has their mapping and not their owner.
    ///
    /// # Errors
    ///
    /// The pages are not mapped as the mapping says; it comes back.
    pub(in crate::mm) fn unmap_reserved<B>(
        &mut self,
        mapping: Mapping<B>,
    ) -> Result<PendingFlush<B>, (ChangeError, Mapping<B>)> {
        self.owned.unmap_owned(mapping)
    }
}
