//! A mapping that owns what it maps.

use core::ops::Range;

use super::{ChangeError, MapError, PageTable, Protection};
use crate::mm::address::{PAGE_SIZE, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// A mapped range together with the frames behind it, of whatever type their owner gave.
///
/// The frames come back in two steps that the types put in order: [`PageTable::unmap_owned`] turns the mapping into a pending
/// flush, and the flush gives the frames out. Using them before does not compile:
///
/// ```compile_fail,E0308
/// # use pagemark::mm::{frame::{Block, FrameAllocator}, hardware::PhysicalMemory, page_table::{Mapping, PageTable}};
/// fn free_first<M: PhysicalMemory>(table: &mut PageTable<M>, frames: &mut FrameAllocator, mapping: Mapping<Block>) {
///     let pending = table.unmap_owned(mapping).ok().unwrap();
///     frames.free(pending).unwrap(); // a block is wanted, and it is not out yet
/// }
/// ```
#[must_use = "the frames leak unless the mapping is taken apart"]
#[derive(PartialEq, Eq, Debug)]
pub struct Mapping<B> {
    start: VirtAddr,
    pages: u64,
    backing: B,
}

impl<B> Mapping<B> {
    /// First address.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.start
    }

    /// The addresses, guard pages left out.
    #[must_use]
    pub const fn range(&self) -> Range<VirtAddr> {
        self.start..VirtAddr(self.start.0 + self.pages * PAGE_SIZE)
    }

    /// Number of 4 KiB pages.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// What is mapped: to look at, not to take.
    #[must_use]
    pub const fn backing(&self) -> &B {
        &self.backing
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Maps `runs`, the frames of `backing`, as [`map_runs`](Self::map_runs) does, and takes them into the mapping.
    ///
    /// # Errors
    ///
    /// As for [`map_runs`](Self::map_runs); the backing comes back.
    pub fn map_owned<B>(
        &mut self,
        start: VirtAddr,
        pages: u64,
        backing: B,
        runs: impl Iterator<Item = (Pfn, u64)>,
        protection: Protection,
    ) -> Result<Mapping<B>, (MapError, B)> {
        match self.map_runs(start, pages, runs, protection) {
            Ok(()) => Ok(Mapping {
                start,
                pages,
                backing,
            }),
            Err(error) => Err((error, backing)),
        }
    }

    /// Takes a mapping apart: its frames wait for the flush.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), if someone changed the range by its addresses; the mapping comes back.
    pub fn unmap_owned<B>(
        &mut self,
        mapping: Mapping<B>,
    ) -> Result<PendingFlush<B>, (ChangeError, Mapping<B>)> {
        match self.unmap(mapping.start, mapping.pages) {
            Ok(pending) => Ok(pending.guard(mapping.backing)),
            Err(error) => Err((error, mapping)),
        }
    }
}
