//! A range inside one PD, entry by entry: each leads to a PT, is a 2 MiB leaf, or is absent.
//!
//! What lies in more than one PT is mostly that, and in two of them: their entries are side by side, and both are at hand while
//! the range is looked at and then changed. With the PD at hand the next PT is one load away, so a longer range is gone through
//! twice for less than it takes to keep what the first pass found.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{Entry, Flags};
use super::pt::{Live, Pt};
use super::{PageTable, Table};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;

/// The bits that tell an entry that leads to a table, which has the first alone, from a leaf and from an absent one.
const KIND: u64 = Flags::PRESENT.union(Flags::LARGE).bits();

/// What is left of a range inside one PD.
#[derive(Clone, Copy, Debug)]
pub(super) struct InPd<'t> {
    directory: &'t Table,
    /// The entry that covers the first page, and the page, of those that the entry covers.
    number: usize,
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
    /// The page `first` of the PD and those that follow, none of which is beyond its end.
    #[inline]
    pub(super) fn new(directory: &'t Table, first: usize, pages: usize) -> Self {
        InPd {
            directory,
            number: first / WORDS_PER_PAGE,
            first: first % WORDS_PER_PAGE,
            pages,
        }
    }

    /// All of the range as two parts, if two entries cover it.
    #[inline]
    fn two(&self) -> Option<(Part<'t>, Part<'t>)> {
        let entries = self.directory.get(self.number..self.number + 2)?;
        let before = WORDS_PER_PAGE - self.first;
        let behind = self.pages.wrapping_sub(before);
        if behind.wrapping_sub(1) >= WORDS_PER_PAGE {
            return None;
        }
        let one = Part {
            entry: &entries[0],
            first: self.first,
            pages: before,
        };
        let other = Part {
            entry: &entries[1],
            first: 0,
            pages: behind,
        };
        Some((one, other))
    }

    /// The entries of the PD that cover pages of the range alone.
    #[inline]
    pub(super) fn whole(&self) -> &'t [AtomicU64] {
        let before = self.number + self.first.div_ceil(WORDS_PER_PAGE);
        let end = self.number + (self.first + self.pages) / WORDS_PER_PAGE;
        self.directory.get(before..end).unwrap_or(&[])
    }

    /// The first `pages` pages, which one entry covers.
    #[inline]
    fn part(&self, pages: usize) -> Part<'t> {
        Part {
            // The remainder is the number itself, as no page is beyond the end of the PD, and needs no check.
            entry: &self.directory[self.number % WORDS_PER_PAGE],
            first: self.first,
            pages,
        }
    }
}

impl<'t> Iterator for InPd<'t> {
    type Item = Part<'t>;

    #[inline]
    fn next(&mut self) -> Option<Part<'t>> {
        if self.pages == 0 {
            return None;
        }
        let pages = self.pages.min(WORDS_PER_PAGE - self.first);
        let part = self.part(pages);
        self.number += 1;
        self.first = 0;
        self.pages -= pages;
        Some(part)
    }
}

impl Part<'_> {
    /// What the entry says.
    #[inline]
    pub(super) fn read(&self) -> Entry {
        Entry::of(self.entry.load(Relaxed), Some(PageSize::Size2M))
    }

    /// Whether the entry leads to a PT that has as many present entries as the part, by its count.
    #[inline]
    pub(super) fn is_live(&self) -> bool {
        let word = self.entry.load(Relaxed);
        word & KIND == Flags::PRESENT.bits() && Live::count(word) >= self.pages()
    }

    /// Number of pages.
    #[inline]
    pub(super) const fn pages(&self) -> u64 {
        self.pages as u64
    }

    /// Whether it is all that the entry covers.
    #[inline]
    pub(super) const fn is_whole(&self) -> bool {
        self.pages == WORDS_PER_PAGE
    }

    /// The address behind a part that starts at `address`. The last one may end where the address space does.
    #[inline]
    pub(super) const fn end(&self, address: VirtAddr) -> VirtAddr {
        VirtAddr(address.0.wrapping_add(self.pages() * PAGE_SIZE))
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entries of a range that lies in two PTs, if both are there: what does not lie in one lies in two, as a rule.
    #[inline]
    pub(super) fn two_pts_of<'t>(&'t self, range: InPd<'t>) -> Option<(Pt<'t>, Pt<'t>)> {
        let (one, other) = range.two()?;
        match (one.read(), other.read()) {
            (Entry::Table(first), Entry::Table(second)) => Some((
                self.entries_of(&one, first),
                self.entries_of(&other, second),
            )),
            _ => None,
        }
    }

    /// The entries of a part in the PT at `frame`, which its entry leads to.
    #[inline]
    pub(super) fn entries_of<'t>(&'t self, part: &Part<'t>, frame: Pfn) -> Pt<'t> {
        Pt {
            entries: &self.table(frame)[part.first..][..part.pages],
            live: Live(part.entry),
        }
    }
}
