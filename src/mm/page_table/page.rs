//! One page in the PT that was edited last: the shortest way to map and unmap what is mapped and unmapped most often.
//!
//! `None` says nothing about the page: the caller goes the long way then, which knows what is wrong, if anything is.

use core::sync::atomic::Ordering::Relaxed;

use super::pt::Pt;
use super::{Mapping, PageTable, Protection, entry};
use crate::mm::address::{PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// A page where nothing is mapped. It holds the page table, so that this stays so.
#[derive(Debug)]
pub struct VacantPage<'t> {
    start: VirtAddr,
    /// Its entry.
    pt: Pt<'t>,
}

/// A page that is mapped. It holds the page table, so that this stays so.
#[derive(Debug)]
pub struct MappedPage<'t> {
    start: VirtAddr,
    /// Its entry.
    pt: Pt<'t>,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The page at `start`, if the PT that was edited last has it and nothing is mapped there.
    #[inline(always)]
    pub fn vacant_page(&mut self, start: VirtAddr) -> Option<VacantPage<'_>> {
        let pt = self.page_in_last_pt(start, 1)?;
        (!pt.any_present()).then_some(VacantPage { start, pt })
    }

    /// The page of a mapping that has one, if the PT that was edited last has it and it is mapped.
    #[inline(always)]
    pub fn mapped_page<B>(&mut self, mapping: &Mapping<B>) -> Option<MappedPage<'_>> {
        let pt = self.page_in_last_pt(mapping.start(), mapping.pages())?;
        let start = mapping.start();
        pt.all_present().then_some(MappedPage { start, pt })
    }
}

impl MappedPage<'_> {
    /// Takes the page's mapping, which is the one that was looked at, apart, as [`PageTable::unmap_owned`] does.
    #[inline(always)]
    pub fn unmap_owned<B>(self, mapping: Mapping<B>) -> PendingFlush<B> {
        debug_assert_eq!(self.start, mapping.start());
        self.pt.entries[0].store(0, Relaxed);
        self.pt.live.sub(1);
        PendingFlush::new(self.start, 1, PageSize::Size4K).guard(mapping.into_backing())
    }
}

impl VacantPage<'_> {
    /// Maps the page to `frame`, and makes it a mapping that owns `backing`, the frame.
    #[inline(always)]
    pub fn map_owned<B>(self, backing: B, frame: Pfn, protection: Protection) -> Mapping<B> {
        let leaf = entry::leaf(frame, PageSize::Size4K, protection);
        self.pt.entries[0].store(leaf, Relaxed);
        self.pt.live.add(1);
        Mapping::new(self.start, 1, backing)
    }
}
