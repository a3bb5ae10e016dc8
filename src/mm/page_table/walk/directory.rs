//! The walk cache of who edits a range: the PD that was walked to last, as the CPU remembers it in its paging-structure caches.
//!
//! A PD maps 1 GiB, so that edits walk from the root once a GiB. From the PD a PT is one load away, and costs the same whether it
//! was edited last or any other of the PD's. What is remembered is cut to the owner's addresses: who finds a page there need not
//! look whether it is the owner's.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{PAGE_SHIFT, PageSize, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::{self, Entry};
use crate::mm::page_table::format::levels::{covered, index, leaf_size};
use crate::mm::page_table::format::pt::{PresentCount, Pt};
use crate::mm::page_table::{OwnedRange, RangeError, Table};

/// The pages of one PD that belong to one owner, or none. What takes a PD out of the tree makes its owner forget it.
#[derive(Clone, Copy, Debug)]
pub(in crate::mm::page_table) struct Directory {
    /// The address of the first page.
    start: u64,
    pages: u64,
    /// The number of the first page among those that the PD maps.
    first: usize,
    table: NonNull<Table>,
}

// SAFETY: the pointer is used through the `OwnedRange` that it belongs to alone, as the references to tables are that its `memory`
// gives.
unsafe impl Send for Directory {}
// SAFETY: as above; what it points to is atomic.
unsafe impl Sync for Directory {}

impl Directory {
    /// No PD, and no page of it.
    pub(in crate::mm::page_table) const NONE: Directory = Directory {
        start: 0,
        pages: 0,
        first: 0,
        table: NonNull::dangling(),
    };

    /// Pages from the first up to the one that starts at `start`, if it has that. The bits of an address below a page become the
    /// highest here, so that no other address than a page's start passes.
    #[inline]
    fn page_starting_at(&self, start: VirtAddr) -> Option<u64> {
        let page = start.0.wrapping_sub(self.start).rotate_right(PAGE_SHIFT);
        (page < self.pages).then_some(page)
    }

    /// Whether it has all of a range of pages.
    #[inline]
    fn has(&self, start: VirtAddr, pages: u64) -> bool {
        match self.page_starting_at(start) {
            Some(page) => pages.wrapping_sub(1) < self.pages - page,
            None => false,
        }
    }
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// The entries of a range that lies in one PT, if the remembered PD leads to it. `None` says nothing about the range.
    #[inline]
    pub(in crate::mm::page_table) fn pt_at_hand(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<Pt<'_>> {
        let page = self.directory.page_starting_at(start)?;
        let left = self.directory.pages - page;
        let page = self.directory.first + page as usize;
        let first = page % WORDS_PER_PAGE;
        if pages.wrapping_sub(1) >= left.min((WORDS_PER_PAGE - first) as u64) {
            return None;
        }
        let parent = &self.pd()[page / WORDS_PER_PAGE];
        let pt = self.table(entry::pt(parent.load(Relaxed))?);
        Some(Pt {
            entries: &pt[first..][..pages as usize],
            live: PresentCount(parent),
        })
    }

    /// The entries of the remembered PD that would be the leaves of a range of 2 MiB pages. `None` says nothing about the range.
    pub(in crate::mm::page_table) fn large_at_hand(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<&[AtomicU64]> {
        const OF_LEAF: u64 = PageSize::Size2M.frames();
        if !self.directory.has(start, pages) {
            return None;
        }
        let page = self.directory.page_starting_at(start)?;
        let first = self.directory.first as u64 + page;
        if !(first | pages).is_multiple_of(OF_LEAF) {
            return None;
        }
        let (first, leaves) = ((first / OF_LEAF) as usize, (pages / OF_LEAF) as usize);
        self.pd().get(first..)?.get(..leaves)
    }

    /// The word of the entry for `address` in the PT that the remembered PD leads to.
    #[inline]
    pub(in crate::mm::page_table) fn word_at_hand(&self, address: VirtAddr) -> Option<u64> {
        let page = address.0.wrapping_sub(self.directory.start) >> PAGE_SHIFT;
        if page >= self.directory.pages {
            return None;
        }
        let page = self.directory.first + page as usize;
        let parent = self.pd()[page / WORDS_PER_PAGE].load(Relaxed);
        let pt = self.table(entry::pt(parent)?);
        Some(pt[page % WORDS_PER_PAGE].load(Relaxed))
    }

    /// The remembered PD, if it maps all of a range. `None` says nothing about the range.
    #[inline]
    pub(in crate::mm::page_table) fn pd_of(&self, start: VirtAddr, pages: u64) -> Option<&Table> {
        self.directory.has(start, pages).then(|| self.pd())
    }

    /// The remembered PD, of which some page was found.
    #[inline]
    fn pd(&self) -> &Table {
        // SAFETY: `walk_to_pd` took it from `memory`, which keeps it where it is (promised by its trait), as there are pages of it; and
        // it has been part of the tree ever since: only the owner of all of its addresses takes it out, and forgets it.
        unsafe { self.directory.table.as_ref() }
    }

    /// Goes to the PD that maps all of a range, if there is one, and remembers it.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, or not all of it is the owner's.
    #[inline]
    pub(in crate::mm::page_table) fn go_to_pd(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<(), RangeError> {
        match self.directory.has(start, pages) {
            true => Ok(()),
            false => self.walk_to_pd(start, pages),
        }
    }

    #[cold]
    #[inline(never)]
    fn walk_to_pd(&mut self, address: VirtAddr, pages: u64) -> Result<(), RangeError> {
        self.check(address, pages)?;
        let tree = &self.tree;
        let mut table = tree.table(tree.root);
        for level in (3..=tree.levels as u32).rev() {
            let entry = table[index(address, level)].load(Relaxed);
            let Entry::Table(frame) = Entry::of(entry, leaf_size(level)) else {
                return Ok(());
            };
            table = tree.table(frame);
        }
        let table = NonNull::from(table);
        // All of the PD's addresses lie in one half, and none of them is the first behind the last.
        let pd = address.0 & !(covered(3) - 1);
        let start = pd.max(self.start.0);
        let last =
            (pd + (covered(3) - 1)).min(self.start.0.wrapping_add(self.bytes().wrapping_sub(1)));
        self.directory = Directory {
            start,
            pages: ((last - start) >> PAGE_SHIFT) + 1,
            first: ((start - pd) >> PAGE_SHIFT) as usize,
            table,
        };
        Ok(())
    }
}
