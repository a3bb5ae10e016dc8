//! A range inside one PD, entry by entry: each leads to a PT, is a 2 MiB leaf, or is absent.
//!
//! What lies in more than one PT is mostly that. With the PD at hand the next PT is one load away, so a range is gone through
//! twice, to look and to change, for less than it takes to keep what the first pass found.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::Entry;
use super::pt::{Live, Pt};
use super::{PageTable, Table};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;

/// What is left of a range inside one PD.
#[derive(Clone, Copy, Debug)]
pub(super) struct InPd<'t> {
    /// The entries of the PD that cover it.
    entries: &'t [AtomicU64],
    /// The first page, of those that the first of them covers.
    first: usize,
    pages: usize,
}

/// The part of a range that one entry of the PD covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'t> {
    pub(super) entry: &'t AtomicU64,
    /// The first page, of those that the entry covers.
    first: usize,
    pages: usize,
}

impl<'t> InPd<'t> {
    /// At least one page, the first of which is the page `first` of the PD.
    #[inline(always)]
    pub(super) fn new(directory: &'t Table, first: usize, pages: usize) -> Self {
        let end = (first + pages).div_ceil(WORDS_PER_PAGE);
        InPd {
            entries: &directory[first / WORDS_PER_PAGE..end],
            first: first % WORDS_PER_PAGE,
            pages,
        }
    }
}

impl<'t> InPd<'t> {
    /// The entries of the PD that cover pages of the range alone.
    #[inline(always)]
    pub(super) fn whole(&self) -> &'t [AtomicU64] {
        let before = self.first.div_ceil(WORDS_PER_PAGE);
        let end = (self.first + self.pages) / WORDS_PER_PAGE;
        self.entries.get(before..end).unwrap_or(&[])
    }
}

impl<'t> Iterator for InPd<'t> {
    type Item = Part<'t>;

    #[inline(always)]
    fn next(&mut self) -> Option<Part<'t>> {
        let (entry, entries) = self.entries.split_first()?;
        let first = self.first;
        let pages = self.pages.min(WORDS_PER_PAGE - first);
        *self = InPd {
            entries,
            first: 0,
            pages: self.pages - pages,
        };
        Some(Part {
            entry,
            first,
            pages,
        })
    }
}

impl Part<'_> {
    /// What the entry says.
    #[inline(always)]
    pub(super) fn read(&self) -> Entry {
        Entry::of(self.entry.load(Relaxed), Some(PageSize::Size2M))
    }

    /// How many present entries the PT has that the entry leads to, if it is one that leads to a PT.
    #[inline(always)]
    pub(super) fn live(&self) -> Option<u64> {
        match self.read() {
            Entry::Table(_) => Some(Live(self.entry).get()),
            Entry::Absent | Entry::Leaf(..) => None,
        }
    }

    /// Number of pages.
    #[inline(always)]
    pub(super) const fn pages(&self) -> u64 {
        self.pages as u64
    }

    /// Whether it is all that the entry covers.
    #[inline(always)]
    pub(super) const fn is_whole(&self) -> bool {
        self.pages == WORDS_PER_PAGE
    }

    /// The address behind a part that starts at `address`. The last one may end where the address space does.
    #[inline(always)]
    pub(super) const fn end(&self, address: VirtAddr) -> VirtAddr {
        VirtAddr(address.0.wrapping_add(self.pages() * PAGE_SIZE))
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entries of a part in the PT at `frame`, which its entry leads to.
    #[inline(always)]
    pub(super) fn entries_of<'t>(&'t self, part: &Part<'t>, frame: Pfn) -> Pt<'t> {
        Pt {
            entries: &self.table(frame)[part.first..][..part.pages],
            live: Live(part.entry),
        }
    }
}
