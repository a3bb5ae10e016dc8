//! Pages in the PT that was edited last: the shortest way to map and unmap what is mapped and unmapped most often, one page and
//! a few that are one block of frames.
//!
//! `None` says nothing about the pages: the caller goes the long way then, which knows what is wrong, if anything is.

use super::pt::Pt;
use super::{Mapping, PageTable, Protection, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// Pages where nothing is mapped. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct VacantPages<'t> {
    start: VirtAddr,
    /// Their entries.
    pt: Pt<'t>,
}

/// Pages that are mapped. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct MappedPages<'t> {
    start: VirtAddr,
    /// Their entries.
    pt: Pt<'t>,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The `pages` pages from `start` on, if the PT that was edited last has them and nothing is mapped there.
    #[inline(always)]
    pub(in crate::mm) fn vacant_pages(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<VacantPages<'_>> {
        let pt = self.entries_in_last_pt(start, pages)?;
        (!pt.any_present()).then_some(VacantPages { start, pt })
    }

    /// The `pages` pages from `start` on, if the PT that was edited last has them and all are mapped.
    #[inline(always)]
    pub(in crate::mm) fn mapped_pages(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<MappedPages<'_>> {
        let pt = self.entries_in_last_pt(start, pages)?;
        // A look at the count would be for nothing as a rule: with its guard page no area fills a PT.
        entries::all_present(pt.entries).then_some(MappedPages { start, pt })
    }
}

impl MappedPages<'_> {
    /// Takes a mapping, whose pages these are, apart, as [`PageTable::unmap_owned`] does.
    #[inline(always)]
    pub(in crate::mm) fn unmap_owned<B>(self, mapping: Mapping<B>) -> PendingFlush<B> {
        let pages = self.pt.entries.len() as u64;
        debug_assert_eq!((self.start, pages), (mapping.start(), mapping.pages()));
        entries::clear(self.pt.entries);
        self.pt.live.sub(pages);
        PendingFlush::new(self.start, pages, PageSize::Size4K).guard(mapping.into_backing())
    }
}

impl VacantPages<'_> {
    /// Maps the pages to as many frames from `first` on, and makes them a mapping that owns `backing`, the frames.
    #[inline(always)]
    pub(in crate::mm) fn map_owned<B>(
        self,
        backing: B,
        first: Pfn,
        protection: Protection,
    ) -> Mapping<B> {
        let pages = self.pt.entries.len() as u64;
        let leaf = entry::leaf(first, PageSize::Size4K, protection);
        entries::fill(self.pt.entries, leaf, PAGE_SIZE);
        self.pt.live.add(pages);
        Mapping::new(self.start, pages, backing)
    }
}
