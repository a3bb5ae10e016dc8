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
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entries of a range that lies in the PT that was edited last. `None` says nothing about the range, which may be none
    /// at all.
    #[inline(always)]
    pub(super) fn entries_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let last = &self.last;
        // The bits below a page become the highest, so that a start that is not aligned lies far beyond the end.
        let first = start.0.wrapping_sub(last.start).rotate_right(PAGE_SHIFT);
        if first >= last.pages || pages.wrapping_sub(1) >= last.pages - first {
            return None;
        }
        // SAFETY: `remember` took both from `memory`, which keeps them where they are (promised by its trait), and they have been
        // part of the tree ever since. The PT has `last.pages` entries, and those asked for are among them.
        unsafe {
            let first = last.entries.cast::<AtomicU64>().add(first as usize);
            Some(Pt {
                entries: NonNull::slice_from_raw_parts(first, pages as usize).as_ref(),
                live: Live(last.parent.as_ref()),
            })
        }
    }

    /// The entry for `address`, if the PT that was edited last has it.
    #[inline(always)]
    pub(super) fn entry_in_last_pt(&self, address: VirtAddr) -> Option<&AtomicU64> {
        let page = self.last.page(address);
        // SAFETY: as in `entries_in_last_pt`.
        (page < self.last.pages).then(|| unsafe {
            self.last
                .entries
                .cast::<AtomicU64>()
                .add(page as usize)
                .as_ref()
        })
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
