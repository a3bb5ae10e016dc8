//! The PT that was edited last, and the PD. They are remembered, as the CPU does in its paging-structure caches: most ranges lie
//! in one PT, the next edit is likely to be in the same, and if not in one beside it, so that it needs no walk from the root.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{self, Entry};
use super::levels::{covered, index, leaf_size};
use super::pd::InPd;
use super::pt::{Live, Pt};
use super::{PageTable, Table};
use crate::mm::address::{PAGE_SHIFT, PAGE_SIZE, PageSize, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;

/// The pages that a table maps.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// Address of the first.
    start: u64,
    /// How many, or 0 if there is no table.
    pages: u64,
}

impl Reach {
    const NONE: Reach = Reach { start: 0, pages: 0 };

    /// Those of the table of `level` that maps `address`.
    const fn around(address: VirtAddr, level: u32) -> Reach {
        let bytes = covered(level + 1);
        Reach {
            start: address.0 & !(bytes - 1),
            pages: bytes / PAGE_SIZE,
        }
    }

    /// Pages from the first up to `address`; beyond the end for an address that is not in reach.
    #[inline(always)]
    const fn page(&self, address: VirtAddr) -> u64 {
        address.0.wrapping_sub(self.start) >> PAGE_SHIFT
    }

    /// The same for the start of a page, and beyond the end for any other address: the bits below a page become the highest.
    #[inline(always)]
    const fn page_starting_at(&self, start: VirtAddr) -> u64 {
        start.0.wrapping_sub(self.start).rotate_right(PAGE_SHIFT)
    }

    /// The number of the first page of a range that is in reach, all of it.
    #[inline(always)]
    const fn first_of(&self, start: VirtAddr, pages: u64) -> Option<u64> {
        let first = self.page_starting_at(start);
        if first >= self.pages || pages.wrapping_sub(1) >= self.pages - first {
            return None;
        }
        Some(first)
    }
}

/// A PT and a PD of the tree, or none. Whatever takes one out of the tree makes this forget both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pt: Reach,
    entries: NonNull<Table>,
    /// The entry that leads to the PT.
    parent: NonNull<AtomicU64>,
    pd: Reach,
    directory: NonNull<Table>,
}

// SAFETY: the pointers are used through the `PageTable` that they belong to alone, as the references to tables are that its
// `memory` gives.
unsafe impl Send for Last {}
// SAFETY: as above; what they point to is atomic.
unsafe impl Sync for Last {}

impl Last {
    pub(super) const NONE: Last = Last {
        pt: Reach::NONE,
        entries: NonNull::dangling(),
        parent: NonNull::dangling(),
        pd: Reach::NONE,
        directory: NonNull::dangling(),
    };
}

/// Whether some PT would map these pages, if they are some.
#[inline(always)]
const fn fit_one_pt(start: VirtAddr, pages: u64) -> bool {
    let first = index(start, 1) as u64;
    pages.saturating_add(first) <= WORDS_PER_PAGE as u64
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entry of a range that is one page, if the PT that was edited last has it: the most frequent edit, and what there is to
    /// check of it is the least. `None` says nothing about the range, which may be none at all.
    #[inline(always)]
    pub(super) fn page_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        if pages != 1 {
            return None;
        }
        let page = self.last.pt.page_starting_at(start);
        if page >= self.last.pt.pages {
            return None;
        }
        // SAFETY: just looked at.
        Some(unsafe { self.entries_from(page, 1) })
    }

    /// The same in a PT that the PD that was edited last leads to, which is remembered from now on.
    #[inline(always)]
    pub(super) fn page_below_last_pd(&mut self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        if pages != 1
            || self.last.pd.page_starting_at(start) >= self.last.pd.pages
            || !self.remember_below_last_pd(start)
        {
            return None;
        }
        // SAFETY: the PT is that of the page.
        Some(unsafe { self.entries_from(index(start, 1) as u64, 1) })
    }

    /// What the PT for `address` has there, if the PD that was edited last leads to it.
    #[inline(always)]
    pub(super) fn entry_below_last_pd(&self, address: VirtAddr) -> Option<&AtomicU64> {
        if self.last.pd.page(address) >= self.last.pd.pages {
            return None;
        }
        let frame = entry::pt(self.last_pd()[index(address, 2)].load(Relaxed))?;
        Some(&self.table(frame)[index(address, 1)])
    }

    /// The entries of a range that lies in one PT, which is remembered from now on. `None` says nothing about the range.
    #[inline(always)]
    pub(super) fn entries_in_pt(&mut self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let first = match self.last.pt.first_of(start, pages) {
            None if fit_one_pt(start, pages) && self.remember(start) => {
                self.last.pt.first_of(start, pages)
            }
            first => first,
        };
        // SAFETY: `first_of` says so.
        first.map(|first| unsafe { self.entries_from(first, pages) })
    }

    /// The entries of a range that lies in the PT that was edited last.
    #[inline(always)]
    pub(super) fn entries_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let first = self.last.pt.first_of(start, pages);
        // SAFETY: `first_of` says so.
        first.map(|first| unsafe { self.entries_from(first, pages) })
    }

    /// Entries of the PT that was edited last.
    ///
    /// # Safety
    ///
    /// It has so many from the page `first` on.
    #[inline(always)]
    unsafe fn entries_from(&self, first: u64, pages: u64) -> Pt<'_> {
        // SAFETY: `remember` took both from `memory`, which keeps them where they are (promised by its trait), and they have been
        // part of the tree ever since. The rest is the caller's promise.
        unsafe {
            let first = self.last.entries.cast::<AtomicU64>().add(first as usize);
            let entries = NonNull::slice_from_raw_parts(first, pages as usize);
            Pt {
                entries: entries.as_ref(),
                live: Live(self.last.parent.as_ref()),
            }
        }
    }

    /// The entry for `address`, if the PT that was edited last has it.
    #[inline(always)]
    pub(super) fn entry_in_last_pt(&self, address: VirtAddr) -> Option<&AtomicU64> {
        let page = self.last.pt.page(address);
        // SAFETY: just looked at.
        (page < self.last.pt.pages).then(|| unsafe { &self.entries_from(page, 1).entries[0] })
    }

    /// A range that lies in the PD that was edited last. `None` says nothing about the range.
    #[inline(always)]
    pub(super) fn range_in_last_pd(&self, start: VirtAddr, pages: u64) -> Option<InPd<'_>> {
        let first = self.last.pd.first_of(start, pages)?;
        Some(InPd::new(self.last_pd(), first as usize, pages as usize))
    }

    /// The entries of the PD that was edited last that would be the leaves of a range of 2 MiB pages. `None` says nothing about
    /// the range.
    #[inline(always)]
    pub(super) fn leaves_in_last_pd(&self, start: VirtAddr, pages: u64) -> Option<&[AtomicU64]> {
        const PAGES: u64 = PageSize::Size2M.frames();
        let first = self.last.pd.first_of(start, pages)?;
        if !(first | pages).is_multiple_of(PAGES) {
            return None;
        }
        let (first, leaves) = ((first / PAGES) as usize, (pages / PAGES) as usize);
        self.last_pd().get(first..)?.get(..leaves)
    }

    /// The PD that was edited last; there is one.
    #[inline(always)]
    fn last_pd(&self) -> &Table {
        // SAFETY: `remember_pd` took it from `memory`, which keeps it where it is (promised by its trait), and it has been part of
        // the tree ever since.
        unsafe { self.last.directory.as_ref() }
    }

    /// Goes to the PT for `address` and remembers it. Returns whether there is one.
    #[inline]
    fn remember(&mut self, address: VirtAddr) -> bool {
        // The way from the root is a call of its own, so that this one keeps no registers for it.
        if self.last.pd.page(address) >= self.last.pd.pages {
            return self.remember_from_root(address);
        }
        self.remember_below_last_pd(address)
    }

    #[cold]
    #[inline(never)]
    fn remember_from_root(&mut self, address: VirtAddr) -> bool {
        self.walk_to_pd(address) && self.remember_below_last_pd(address)
    }

    /// [`remember`](Self::remember), where the PD that was edited last covers the address.
    #[inline(always)]
    fn remember_below_last_pd(&mut self, address: VirtAddr) -> bool {
        let parent = &self.last_pd()[index(address, 2)];
        let Some(frame) = entry::pt(parent.load(Relaxed)) else {
            return false;
        };
        let (parent, entries) = (parent.into(), self.table(frame).into());
        self.last.pt = Reach::around(address, 1);
        (self.last.parent, self.last.entries) = (parent, entries);
        true
    }

    /// Goes to the PD for a range, if one can have it, and remembers it.
    #[inline(always)]
    pub(super) fn remember_pd_of(&mut self, start: VirtAddr, pages: u64) {
        if self.last.pd.first_of(start, pages).is_none() {
            self.remember_pd(start);
        }
    }

    /// Goes to the PD for `address` and remembers it. Returns whether there is one.
    #[inline(always)]
    pub(super) fn remember_pd(&mut self, address: VirtAddr) -> bool {
        self.last.pd.page(address) < self.last.pd.pages || self.walk_to_pd(address)
    }

    /// [`remember_pd`](Self::remember_pd), from the root.
    #[cold]
    #[inline(never)]
    fn walk_to_pd(&mut self, address: VirtAddr) -> bool {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return false;
        }
        let mut table = self.table(self.root);
        for level in (3..=self.levels as u32).rev() {
            let entry = table[index(address, level)].load(Relaxed);
            let Entry::Table(frame) = Entry::of(entry, leaf_size(level)) else {
                return false;
            };
            table = self.table(frame);
        }
        let directory = table.into();
        self.last.pd = Reach::around(address, 2);
        self.last.directory = directory;
        true
    }
}
