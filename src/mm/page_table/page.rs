//! Pages that are known to be vacant, or to be mapped: what is done to them cannot fail.
//!
//! Pages in the PT that was edited last are the shortest way to map and unmap what is mapped and unmapped most often, one page and
//! a few that are one block of frames. A range of one PD is for all that gets its frames one by one while it is mapped.
//!
//! `None` says nothing about the pages: the caller goes the long way then, which knows what is wrong, if anything is.

use core::sync::atomic::Ordering::Relaxed;

use super::entry::Entry;
use super::pd::InPd;
use super::pt::Pt;
use super::{Fill, Mapping, PageTable, Protection, TableFrames, entries, entry};
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

/// Pages of one PD where nothing is mapped, and every PT stands. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct VacantRange<'t, M> {
    start: VirtAddr,
    pages: u64,
    tree: &'t PageTable<M>,
    range: InPd<'t>,
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

    /// The `pages` pages from `start` on, if one PT has them and nothing is mapped there.
    pub(in crate::mm) fn vacant_pages_of_pt(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<VacantPages<'_>> {
        let pt = self.entries_in_pt(start, pages)?;
        (!pt.any_present()).then_some(VacantPages { start, pt })
    }

    /// The `pages` pages from `start` on, if one PD has them and nothing is mapped there. PTs that are missing are made, and stay.
    pub(in crate::mm) fn vacant_range(
        &mut self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Option<VacantRange<'_, M>> {
        self.remember_pd_of(start, pages);
        let range = self.range_in_last_pd(start, pages)?;
        let mut missing = 0;
        for part in range {
            match part.read() {
                Entry::Absent => missing += 1,
                Entry::Leaf(..) => return None,
                Entry::Table(frame) if self.entries_of(&part, frame).any_present() => return None,
                Entry::Table(_) => {}
            }
        }
        if missing > 0 {
            let mut tables = tables.allocate_tables(missing)?;
            for part in range {
                if let Entry::Absent = part.read() {
                    let table = self.next_table(&mut tables)?;
                    part.entry.store(entry::table(table), Relaxed);
                }
            }
        }
        Some(VacantRange {
            start,
            pages,
            tree: self,
            range,
        })
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

    /// Maps the pages to the next frames of `frames`, and makes them a mapping that owns what `backing` makes of it.
    #[inline]
    pub(in crate::mm) fn fill_owned<F: Fill, B>(
        self,
        mut frames: F,
        protection: Protection,
        backing: impl FnOnce(F) -> B,
    ) -> Mapping<B> {
        self.pt.fill(&mut frames, protection);
        Mapping::new(self.start, self.pt.entries.len() as u64, backing(frames))
    }
}

impl<M: PhysicalMemory> VacantRange<'_, M> {
    /// As [`VacantPages::fill_owned`].
    #[inline]
    pub(in crate::mm) fn fill_owned<F: Fill, B>(
        self,
        mut frames: F,
        protection: Protection,
        backing: impl FnOnce(F) -> B,
    ) -> Mapping<B> {
        for part in self.range {
            if let Entry::Table(frame) = part.read() {
                let pt = self.tree.entries_of(&part, frame);
                pt.fill(&mut frames, protection);
            }
        }
        Mapping::new(self.start, self.pages, backing(frames))
    }
}
