//! The direct map's aliases of frames that are mapped elsewhere as code: read-only for as long as they are executable there, as
//! Linux's `set_memory_rox` has it.
//!
//! Where the direct map has large leaves, they are split down to the blocks in question, and stay so.

use super::KernelMemory;
use crate::mm::address::{FrameRange, PAGE_SIZE, Pfn, VirtAddr};
use crate::mm::frame::{BlockList, Buddy};
use crate::mm::hardware::{PhysicalMemory, TlbInvalidate};
use crate::mm::page_table::{ChangeError, Protection, ResizeError};

/// The frames that the direct map covers, and where it has the first of them.
#[derive(Clone, Debug)]
pub struct Aliases {
    /// The address of the first frame.
    pub start: VirtAddr,
    /// The frames.
    pub frames: FrameRange,
}

impl Aliases {
    /// No direct map in the kernel's page table.
    pub(super) const NONE: Aliases = Aliases {
        start: VirtAddr(0),
        frames: Pfn(0)..Pfn(0),
    };

    /// The address of a frame.
    fn of(&self, frame: Pfn) -> Option<VirtAddr> {
        let offset = || (frame.0 - self.frames.start.0) * PAGE_SIZE;
        let covered = self.frames.contains(&frame);
        covered.then(|| VirtAddr(self.start.0 + offset()))
    }
}

impl<M: PhysicalMemory + Copy, I: TlbInvalidate, B: Buddy> KernelMemory<'_, M, I, B> {
    /// The kernel's page table has a direct map: from now on its aliases of code are read-only.
    pub fn set_aliases(&mut self, aliases: Aliases) {
        self.aliases = aliases;
    }

    /// An address in the first large leaf that maps more than a block of the list.
    fn larger_than_its_block(&self, list: &BlockList) -> Option<VirtAddr> {
        self.frames.blocks(list).find_map(|(first, order)| {
            let address = self.aliases.of(first)?;
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
            let (table, mut tables) = self.table_and_tables();
            table.split(address, &mut tables)?.flush(&self.tlb);
        }
        Ok(())
    }

    /// Gives the direct map's aliases of all blocks of a list, whose leaves were [split](Self::split_aliases), this protection on
    /// every CPU. Blocks that the direct map does not cover have none.
    ///
    /// # Errors
    ///
    /// As for [`protect_at`](crate::mm::page_table::PageTable::protect_at): the direct map is not as it was built.
    pub(in crate::mm) fn protect_aliases(
        &mut self,
        list: &BlockList,
        protection: Protection,
    ) -> Result<(), ChangeError> {
        for (first, order) in self.frames.blocks(list) {
            if let Some(address) = self.aliases.of(first) {
                // SAFETY: the direct map is the kernel's, and these frames are their owner's, who asks for it.
                let changed =
                    unsafe { self.table.protect_at(address, order.frames(), protection) }?;
                changed.flush(&self.tlb);
            }
        }
        Ok(())
    }
}
