//! A PT whose pages are known by number: the windows of kmap and of the fixmap, whose slots are set and cleared without a walk.
//!
//! 2.4 keeps pointers to both tables for the same purpose (`pkmap_page_table`, `kmap_pte`).

use core::sync::atomic::Ordering::Relaxed;

use crate::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::edit::map::{Vacant, allocate};
use crate::mm::page_table::format::entry;
use crate::mm::page_table::format::entry::Entry;
use crate::mm::page_table::format::levels::index;
use crate::mm::page_table::format::pt::PresentCount;
use crate::mm::page_table::walk::cursor::Slots;
use crate::mm::page_table::{MapError, OwnedRange, PageTable, Protection, TableFrames};
use crate::mm::tlb::PendingFlush;

/// The pages from one address on, as far as one PT maps them, each a slot for a frame.
#[derive(Clone, Copy, Debug)]
pub struct FixedPt<M> {
    tree: PageTable<M>,
    pt: Pfn,
    start: VirtAddr,
    slots: usize,
}

impl<M: PhysicalMemory + Copy> OwnedRange<M> {
    /// The PT for these pages, as far as one PT maps them, at the first of which nothing is mapped; it is made if need be, and stays.
    /// They are mapped and unmapped by nothing else from now on.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map) of one page. The pages belong to nobody then.
    pub fn into_fixed(mut self, tables: &mut impl TableFrames) -> Result<FixedPt<M>, MapError> {
        const ONE: FrameRange = Pfn(0)..Pfn(1);
        let start = self.start;
        self.go_to_pd(start, 1)?;
        if let Vacant::Missing(missing) = self.look(start, ONE, PageSize::Size4K)? {
            let new = allocate(start, missing, tables)?;
            tables.give_back(self.make_pts(start, 1, new));
            self.go_to_pd(start, 1)?;
        }
        let pt = self.look(start, ONE, PageSize::Size4K)?;
        let Vacant::InOneTable(Slots {
            parent: Some(parent),
            ..
        }) = pt
        else {
            let (address, tables) = (start, 1);
            return Err(MapError::OutOfTables { address, tables });
        };
        let Entry::Table(pt) = Entry::of(parent.load(Relaxed), None) else {
            return Err(MapError::AlreadyMapped { address: start });
        };
        // One more than there are: who counts the entries never finds the PT empty, nor full, whatever its slots are.
        PresentCount(parent).add(1);
        let in_pt = (WORDS_PER_PAGE - index(start, 1)) as u64;
        Ok(FixedPt {
            tree: self.tree,
            pt,
            start,
            slots: self.pages.min(in_pt) as usize,
        })
    }

    /// Ends what [`into_fixed`](Self::into_fixed) began: the PT is one like any other again, and may leave the tree when it is empty.
    /// The owner of the slots is back.
    ///
    /// # Safety
    ///
    /// Every slot is clear, and no copy of the value is used any more.
    pub unsafe fn of_fixed(fixed: FixedPt<M>) -> OwnedRange<M> {
        // SAFETY: the pages were those of the value that was made this one, which nobody uses any more (the caller's promise).
        let mut owned = unsafe { fixed.tree.own(fixed.start, fixed.slots as u64) };
        if owned.go_to_pd(fixed.start, 1).is_ok()
            && let Some(pt) = owned.pt_at_hand(fixed.start, 1)
        {
            pt.live.sub(1);
        }
        owned
    }
}

impl<M: PhysicalMemory> FixedPt<M> {
    /// The address of a slot.
    #[inline]
    #[must_use]
    pub const fn address(&self, slot: usize) -> VirtAddr {
        VirtAddr(self.start.0 + slot as u64 * PAGE_SIZE)
    }

    /// Slots that there are.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    const fn first(&self) -> usize {
        (self.start.0 / PAGE_SIZE) as usize % WORDS_PER_PAGE
    }

    /// Maps a slot, which is clear, to a frame: no flush is owed. Slots that there are not are left alone.
    #[inline]
    pub fn set(&self, slot: usize, frame: Pfn, protection: Protection) {
        self.store(slot, entry::leaf(frame, PageSize::Size4K, protection));
    }

    /// Clears a slot.
    #[inline]
    pub fn clear(&self, slot: usize) -> PendingFlush {
        self.store(slot, 0);
        PendingFlush::new(self.address(slot), 1, PageSize::Size4K)
    }

    /// Whether a slot is mapped.
    #[must_use]
    pub fn is_set(&self, slot: usize) -> bool {
        // SAFETY: as for `store`.
        let entries = unsafe { self.tree.memory.words(self.pt) };
        let entry = entries.get(self.first() + slot);
        entry.is_some_and(|entry| entry.load(Relaxed) != 0)
    }

    #[inline]
    fn store(&self, slot: usize, word: u64) {
        // SAFETY: the PT belongs to the tree that it came from, which `memory` covers; a PT stays where it is once it is made,
        // and is only ever accessed as atomics.
        let entries = unsafe { self.tree.memory.words(self.pt) };
        if slot < self.slots
            && let Some(entry) = entries.get(self.first() + slot)
        {
            entry.store(word, Relaxed);
        }
    }
}
