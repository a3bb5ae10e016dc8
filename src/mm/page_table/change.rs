//! Changes of mappings that are there: all of them are looked at first, and a range that cannot be changed as a whole is not
//! changed at all.

use core::sync::atomic::AtomicU64;

use super::cursor::{Cursor, Slots, not_mapped};
use super::pt::Live;
use super::{ChangeError, PageTable, Protection, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

impl<M: PhysicalMemory> PageTable<M> {
    /// Takes the mapping of the `pages` pages from `start` away.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something in it is not mapped, or it cuts a large leaf. Nothing has changed.
    #[inline]
    pub fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, |entries, _, live| {
            entries::clear(entries);
            if let Some(live) = live {
                live.sub(entries.len() as u64);
            }
        })
    }

    /// Gives the `pages` pages from `start` another protection.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap).
    #[inline]
    pub fn protect(
        &mut self,
        start: VirtAddr,
        pages: u64,
        protection: Protection,
    ) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, |entries, size, _| {
            entries::set_flags(entries, entry::leaf(Pfn(0), size, protection));
        })
    }

    /// Applies `edit` to all leaves of a range, table by table, once all of them are known to be there.
    #[inline(always)]
    fn change(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize, Option<Live<'_>>),
    ) -> Result<PendingFlush, ChangeError> {
        if self.find_pt(start)
            && let Some(pt) = self.entries_in_last_pt(start, pages)
        {
            if !pt.all_present() {
                return Err(not_mapped(pt.entries, start));
            }
            edit(pt.entries, PageSize::Size4K, Some(pt.live));
            return Ok(PendingFlush::new(start, pages, PageSize::Size4K));
        }
        self.change_by_tables(start, pages, edit)
    }

    /// [`change`](Self::change) of any range.
    #[inline(never)]
    fn change_by_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize, Option<Live<'_>>),
    ) -> Result<PendingFlush, ChangeError> {
        self.levels.check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        self.for_each_slots(start, pages, |slots| smallest = smallest.min(slots.size))?;
        self.for_each_slots(start, pages, |slots| {
            if let Some(entries) = slots.entries {
                edit(entries, slots.size, slots.parent.map(Live));
            }
        })?;
        let pages = pages / smallest.frames();
        Ok(PendingFlush::new(start, pages, smallest))
    }

    fn for_each_slots(
        &self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(Slots<'_>),
    ) -> Result<(), ChangeError> {
        let mut cursor = Cursor::new(self, start);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let slots = cursor.present(address, left)?;
            visit(slots);
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        Ok(())
    }
}
