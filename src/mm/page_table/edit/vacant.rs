//! Pages that are known to be vacant, or to be mapped: what is done to them cannot fail.
//!
//! For what gets its frames after its addresses: the frames are allocated once nothing else can go wrong, one by one if need be. And
//! for pages that one PT has, the shortest way to map and unmap what is mapped and unmapped most often, one page and a few that are
//! one block of frames.
//!
//! `None` says nothing about the pages: the caller goes the way of [`OwnedRange::map`] then, which finds what is wrong, if anything
//! is.

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::edit::map::Vacant;
use crate::mm::page_table::format::pt::Pt;
use crate::mm::page_table::format::{entries, entry};
use crate::mm::page_table::{Fill, Mapping, OwnedRange, Protection, TableFrames};
use crate::mm::tlb::PendingFlush;

/// Pages of one PT where nothing is mapped. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct VacantPages<'t> {
    start: VirtAddr,
    /// Their entries.
    pt: Pt<'t>,
}

/// Pages where nothing is mapped, and every PT stands. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct VacantRange<'t, M> {
    start: VirtAddr,
    pages: u64,
    tree: &'t OwnedRange<M>,
}

/// Pages of one PT that are mapped. They hold the page table, so that this stays so.
#[derive(Debug)]
pub(in crate::mm) struct MappedPages<'t> {
    start: VirtAddr,
    /// Their entries.
    pt: Pt<'t>,
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// The `pages` pages from `start` on, if their PT is at hand and nothing is mapped there.
    #[inline(always)]
    pub(in crate::mm) fn vacant_pages(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<VacantPages<'_>> {
        let pt = self.pt_at_hand(start, pages)?;
        (!pt.any_present()).then_some(VacantPages { start, pt })
    }

    /// The `pages` pages from `start` on, if nothing is mapped there. PTs that are missing are made, and stay.
    pub(in crate::mm) fn vacant_range(
        &mut self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Option<VacantRange<'_, M>> {
        self.go_to_pd(start, pages).ok()?;
        // Which frames they are going to be says nothing here.
        let frames = Pfn(0)..Pfn(pages);
        if let Vacant::Missing(missing @ 1..) = self.look(start, frames, PageSize::Size4K).ok()? {
            let new = tables.allocate_tables(missing)?;
            tables.give_back(self.make_pts(start, pages, new));
        }
        Some(VacantRange {
            start,
            pages,
            tree: self,
        })
    }

    /// The `pages` pages from `start` on, if their PT is at hand and all are mapped.
    #[inline(always)]
    pub(in crate::mm) fn mapped_pages(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<MappedPages<'_>> {
        let pt = self.pt_at_hand(start, pages)?;
        // A look at the count would be for nothing: with its guard page no area fills a PT.
        entries::all_present(pt.entries).then_some(MappedPages { start, pt })
    }
}

impl MappedPages<'_> {
    /// Takes a mapping, whose pages these are, apart, as [`OwnedRange::unmap_owned`] does.
    #[inline]
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
        self.tree
            .write_pages(self.start, self.pages, &mut frames, protection);
        Mapping::new(self.start, self.pages, backing(frames))
    }
}
