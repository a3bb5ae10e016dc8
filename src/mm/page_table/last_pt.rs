//! The PT that was edited last. It is remembered, as the CPU does in its paging-structure caches: most ranges lie in one PT, and
//! the next edit is likely to be in the same, so that it needs no walk.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::Entry;
use super::levels::{covered, index, leaf_size};
use super::pt::{Live, Pt};
use super::{PageTable, Table};
use crate::mm::address::{PAGE_SHIFT, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;

/// A PT of the tree, or none. Whatever takes a PT out of the tree sets this to none.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastPt {
    /// Address of the first page that it maps.
    start: u64,
    /// Pages that it maps: 512, or 0 if there is none.
    pages: u64,
    entries: NonNull<Table>,
    /// The entry that leads to it.
    parent: NonNull<AtomicU64>,
}

// SAFETY: both pointers are used through the `PageTable` that they belong to alone, as the references to tables are that its
// `memory` gives.
unsafe impl Send for LastPt {}
// SAFETY: as above; what they point to is atomic.
unsafe impl Sync for LastPt {}

impl LastPt {
    pub(super) const NONE: LastPt = LastPt {
        start: 0,
        pages: 0,
        entries: NonNull::dangling(),
        parent: NonNull::dangling(),
    };

    /// Pages from its first page up to `address`; beyond its end for an address that it does not map.
    #[inline(always)]
    const fn page(&self, address: VirtAddr) -> u64 {
        address.0.wrapping_sub(self.start) >> PAGE_SHIFT
    }

    /// The same for the start of a page, and beyond its end for any other address: the bits below a page become the highest.
    #[inline(always)]
    const fn page_starting_at(&self, start: VirtAddr) -> u64 {
        start.0.wrapping_sub(self.start).rotate_right(PAGE_SHIFT)
    }

    /// The number of the first page of a range that it maps, all of it.
    #[inline(always)]
    const fn first_of(&self, start: VirtAddr, pages: u64) -> Option<u64> {
        let first = self.page_starting_at(start);
        if first >= self.pages || pages.wrapping_sub(1) >= self.pages - first {
            return None;
        }
        Some(first)
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entry of a range that is one page, if the PT that was edited last has it: the most frequent edit, and what there is to
    /// check of it is the least. `None` says nothing about the range, which may be none at all.
    #[inline(always)]
    pub(super) fn page_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        if pages != 1 {
            return None;
        }
        let page = self.last.page_starting_at(start);
        if page >= self.last.pages {
            return None;
        }
        // SAFETY: just looked at.
        Some(unsafe { self.entries_from(page, 1) })
    }

    /// The entries of a range that lies in one PT, which is remembered from now on. `None` says nothing about the range.
    #[inline(always)]
    pub(super) fn entries_in_pt(&mut self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let first = match self.last.first_of(start, pages) {
            None if self.remember(start) => self.last.first_of(start, pages),
            first => first,
        };
        // SAFETY: `first_of` says so.
        first.map(|first| unsafe { self.entries_from(first, pages) })
    }

    /// The entries of a range that lies in the PT that was edited last.
    #[inline(always)]
    pub(super) fn entries_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let first = self.last.first_of(start, pages);
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
        let page = self.last.page(address);
        // SAFETY: just looked at.
        (page < self.last.pages).then(|| unsafe { &self.entries_from(page, 1).entries[0] })
    }

    /// Walks to the PT for `address` and remembers it. Returns whether there is one.
    #[inline(never)]
    pub(super) fn remember(&mut self, address: VirtAddr) -> bool {
        let found = self.walk_to_pt(address);
        if let Some((parent, entries)) = found {
            self.last = LastPt {
                start: address.0 & !(covered(2) - 1),
                pages: WORDS_PER_PAGE as u64,
                entries: entries.into(),
                parent: parent.into(),
            };
            return true;
        }
        false
    }

    /// The entry of a PD that leads to the PT for `address`, and that.
    pub(super) fn walk_to_pt(&self, address: VirtAddr) -> Option<(&AtomicU64, &Table)> {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return None;
        }
        let mut table = self.table(self.root);
        let mut level = self.levels as u32;
        loop {
            let entry = &table[index(address, level)];
            let Entry::Table(frame) = Entry::of(entry.load(Relaxed), leaf_size(level)) else {
                return None;
            };
            table = self.table(frame);
            level -= 1;
            if level == 1 {
                return Some((entry, table));
            }
        }
    }
}
