//! The walk cache: the PD that was walked to last, as the CPU remembers it in its paging-structure caches.
//!
//! A PD maps 1 GiB, so that edits walk from the root once a GiB. From the PD a PT is one load away, and costs the same whether it
//! was edited last or any other of the PD's.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{PAGE_SHIFT, PAGE_SIZE, PageSize, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::{self, Entry};
use crate::mm::page_table::format::levels::{covered, index, leaf_size};
use crate::mm::page_table::format::pt::{Live, Pt};
use crate::mm::page_table::{PageTable, RangeError, Table};

/// Pages that a PD maps.
const PAGES: u64 = PageSize::Size1G.frames();

/// A PD of the tree, or none. What takes a PD out of the tree makes this forget it.
#[derive(Clone, Copy, Debug)]
pub(in crate::mm::page_table) struct Directory {
    /// The address of the first page that it maps.
    start: u64,
    table: NonNull<Table>,
}

// SAFETY: the pointer is used through the `PageTable` that it belongs to alone, as the references to tables are that its `memory`
// gives.
unsafe impl Send for Directory {}
// SAFETY: as above; what it points to is atomic.
unsafe impl Sync for Directory {}

/// What "no PD" points to: nothing is mapped there.
static EMPTY: Table = [const { AtomicU64::new(0) }; WORDS_PER_PAGE];

impl Directory {
    /// No PD: no page starts where this one would have any, as that is at no multiple of a page.
    pub(in crate::mm::page_table) const NONE: Directory = Directory {
        start: 1,
        table: NonNull::from_ref(&EMPTY),
    };

    /// Pages from the first up to the one that starts at `start`, if it maps that. The bits of an address below a page become the
    /// highest here, so that of a PD no other address than a page's start passes.
    #[inline]
    fn page_starting_at(&self, start: VirtAddr) -> Option<u64> {
        let page = start.0.wrapping_sub(self.start).rotate_right(PAGE_SHIFT);
        (page < PAGES).then_some(page)
    }

    /// Whether it maps all of a range of pages.
    #[inline]
    fn maps(&self, start: VirtAddr, pages: u64) -> bool {
        match self.page_starting_at(start) {
            Some(first) => start.is_aligned(PAGE_SIZE) && pages.wrapping_sub(1) < PAGES - first,
            None => false,
        }
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The entries of a range that lies in one PT, if the remembered PD leads to it. `None` says nothing about the range.
    #[inline]
    pub(in crate::mm::page_table) fn pt_at_hand(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<Pt<'_>> {
        let page = self.directory.page_starting_at(start)? as usize;
        let first = page % WORDS_PER_PAGE;
        if pages.wrapping_sub(1) >= (WORDS_PER_PAGE - first) as u64 {
            return None;
        }
        let parent = &self.pd()[page / WORDS_PER_PAGE];
        let pt = self.table(entry::pt(parent.load(Relaxed))?);
        Some(Pt {
            entries: &pt[first..][..pages as usize],
            live: Live(parent),
        })
    }

    /// The entries of the remembered PD that would be the leaves of a range of 2 MiB pages. `None` says nothing about the range.
    pub(in crate::mm::page_table) fn large_at_hand(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Option<&[AtomicU64]> {
        const OF_LEAF: u64 = PageSize::Size2M.frames();
        let first = self.directory.page_starting_at(start)?;
        if pages == 0 || !(first | pages).is_multiple_of(OF_LEAF) {
            return None;
        }
        let (first, leaves) = ((first / OF_LEAF) as usize, (pages / OF_LEAF) as usize);
        self.pd().get(first..)?.get(..leaves)
    }

    /// The word of the entry for `address` in the PT that the remembered PD leads to.
    #[inline]
    pub(in crate::mm::page_table) fn word_at_hand(&self, address: VirtAddr) -> Option<u64> {
        let page = address.0.wrapping_sub(self.directory.start) >> PAGE_SHIFT;
        if page >= PAGES {
            return None;
        }
        let page = page as usize;
        let parent = self.pd()[page / WORDS_PER_PAGE].load(Relaxed);
        let pt = self.table(entry::pt(parent)?);
        Some(pt[page % WORDS_PER_PAGE].load(Relaxed))
    }

    /// The remembered PD, if it maps all of a range. `None` says nothing about the range.
    #[inline]
    pub(in crate::mm::page_table) fn pd_of(&self, start: VirtAddr, pages: u64) -> Option<&Table> {
        self.directory.maps(start, pages).then(|| self.pd())
    }

    /// The remembered PD, or one where nothing is mapped.
    #[inline]
    fn pd(&self) -> &Table {
        // SAFETY: `walk_to_pd` took it from `memory`, which keeps it where it is (promised by its trait), and it has been part of the
        // tree ever since; or it is `EMPTY`.
        unsafe { self.directory.table.as_ref() }
    }

    /// Goes to the PD that maps all of a range, if there is one, and remembers it.
    ///
    /// # Errors
    ///
    /// The range is no range of pages.
    #[inline]
    pub(in crate::mm::page_table) fn go_to_pd(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<(), RangeError> {
        match self.directory.maps(start, pages) {
            true => Ok(()),
            false => self.walk_to_pd(start, pages),
        }
    }

    #[cold]
    #[inline(never)]
    fn walk_to_pd(&mut self, address: VirtAddr, pages: u64) -> Result<(), RangeError> {
        self.levels.check_range(address, pages)?;
        let mut table = self.table(self.root);
        for level in (3..=self.levels as u32).rev() {
            let entry = table[index(address, level)].load(Relaxed);
            let Entry::Table(frame) = Entry::of(entry, leaf_size(level)) else {
                return Ok(());
            };
            table = self.table(frame);
        }
        self.directory = Directory {
            start: address.0 & !(covered(3) - 1),
            table: table.into(),
        };
        Ok(())
    }
}
