//! The direct map's aliases of frames that are mapped elsewhere as code: read-only for as long as they are executable there, as
//! Linux's `set_memory_rox` has it.
//!
//! Where the direct map has large leaves, they are split down to the blocks in question, and stay so.

use super::{KernelConfig, KernelMemory};
use crate::mm::address::{PAGE_SIZE, Pfn, VirtAddr};
use crate::mm::frame::BlockList;
use crate::mm::page_table::{ChangeError, OwnedRange, Protection, ResizeError};

/// The addresses of the direct map, and the frames that they are those of.
#[derive(Debug)]
pub struct Aliases<M> {
    owned: OwnedRange<M>,
    first: Pfn,
}

impl<M> Aliases<M> {
    /// The frames from `first` on, as many as there are pages, in order.
    #[must_use]
    pub const fn new(owned: OwnedRange<M>, first: Pfn) -> Self {
        Aliases { owned, first }
    }

    /// The address of a frame.
    fn of(&self, frame: Pfn) -> Option<VirtAddr> {
        let before = frame.0.checked_sub(self.first.0)?;
        let covered = before < self.owned.pages();
        covered.then(|| VirtAddr(self.owned.start().0 + before * PAGE_SIZE))
    }
}

impl<C: KernelConfig> KernelMemory<'_, C> {
    /// The kernel's page table has a direct map: from now on its aliases of code are read-only.
    pub fn set_aliases(&mut self, aliases: Aliases<C::Memory>) {
        self.aliases = Some(aliases);
    }

    /// An address in the first large leaf that maps more than a block of the list.
    fn larger_than_its_block(&self, list: &BlockList) -> Option<VirtAddr> {
        self.frames.blocks(list).find_map(|(first, order)| {
            let address = self.aliases.as_ref()?.of(first)?;
            let size = self.table.translate(address)?.size();
            (size.frames() > order.frames()).then_some(address)
        })
    }

    /// Splits the direct map's leaves so far that the protection of the list's blocks can be changed.
    ///
    /// # Errors
    ///
    /// There is no frame for a table. Some leaves may be split.
    pub(in crate::mm) fn split_aliases(&mut self, list: &BlockList) -> Result<(), ResizeError> {
        while let Some(address) = self.larger_than_its_block(list) {
            // Whatever else has an alias.
            let Some(mut aliases) = self.aliases.take() else {
                break;
            };
            let split = aliases.owned.split(address, &mut self.tables());
            self.aliases = Some(aliases);
            split?.flush(&self.tlb);
        }
        Ok(())
    }

    /// Gives the direct map's aliases of all blocks of a list, whose leaves were [split](Self::split_aliases), this protection on
    /// every CPU. Blocks that the direct map does not cover have none.
    ///
    /// # Errors
    ///
    /// As for [`protect`](OwnedRange::protect): the direct map is not as it was built.
    pub(in crate::mm) fn protect_aliases(
        &mut self,
        list: &BlockList,
        protection: Protection,
    ) -> Result<(), ChangeError> {
        let Some(aliases) = &mut self.aliases else {
            return Ok(());
        };
        for (first, order) in self.frames.blocks(list) {
            if let Some(address) = aliases.of(first) {
                let changed = aliases.owned.protect(address, order.frames(), protection)?;
                changed.flush(&self.tlb);
            }
        }
        Ok(())
    }
}
