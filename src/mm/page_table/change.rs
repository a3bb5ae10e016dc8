//! Changes of mappings that are there: all of them are looked at first, and a range that cannot be changed as a whole is not
//! changed at all.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cursor::{Cursor, Slots, large_leaves, not_mapped};
use super::pt::{Live, Pt};
use super::{ChangeError, Frames, PageTable, Protection, entries, entry};
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
            let flags = entry::leaf(Pfn(0), size, protection);
            entries::set_flags(entries, entry::address_mask(size), flags);
        })
    }

    /// Puts other frames behind the pages from `start` on, which keep their protection.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), or a large leaf would not get a block of frames that is aligned and contiguous.
    #[inline]
    pub fn remap(
        &mut self,
        start: VirtAddr,
        mut frames: impl Frames,
    ) -> Result<PendingFlush, ChangeError> {
        match self.entries_in_last_pt(start, frames.count()) {
            Some(pt) => change_in_pt(start, pt, |pt| refill(pt.entries, &mut frames)),
            None => self.remap_by_tables(start, frames),
        }
    }

    /// [`remap`](Self::remap) of any range.
    #[inline(never)]
    fn remap_by_tables(
        &mut self,
        start: VirtAddr,
        mut frames: impl Frames,
    ) -> Result<PendingFlush, ChangeError> {
        let pages = frames.count();
        if self.remember(start)
            && let Some(pt) = self.entries_in_last_pt(start, pages)
        {
            return change_in_pt(start, pt, |pt| refill(pt.entries, &mut frames));
        }
        self.levels.check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        let mut left = frames.clone();
        self.for_each_slots(start, pages, |address, slots| {
            let size = slots.size;
            smallest = smallest.min(size);
            if size != PageSize::Size4K && large_leaves(address, &left, size) == 0 {
                return Err(ChangeError::NoBlock { address, size });
            }
            left.skip(slots.pages());
            Ok(())
        })?;
        self.for_each_slots(start, pages, |_, slots| {
            match slots.entries {
                Some(entries) if slots.size == PageSize::Size4K => refill(entries, &mut frames),
                Some([entry]) => {
                    let protection = entry::protection(entry.load(Relaxed), slots.size);
                    let (first, _) = frames.run(1);
                    entry.store(entry::leaf(first, slots.size, protection), Relaxed);
                    frames.skip(slots.pages());
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(PendingFlush::new(
            start,
            pages / smallest.frames(),
            smallest,
        ))
    }

    /// Applies `edit` to all leaves of a range, table by table, once all of them are known to be there.
    #[inline(always)]
    fn change(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize, Option<Live<'_>>),
    ) -> Result<PendingFlush, ChangeError> {
        let edit_pt = |pt: Pt<'_>| edit(pt.entries, PageSize::Size4K, Some(pt.live));
        match self.entries_in_last_pt(start, pages) {
            Some(pt) => change_in_pt(start, pt, edit_pt),
            None => self.change_by_tables(start, pages, edit),
        }
    }

    /// [`change`](Self::change) of any range.
    #[inline(never)]
    fn change_by_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize, Option<Live<'_>>),
    ) -> Result<PendingFlush, ChangeError> {
        if self.remember(start)
            && let Some(pt) = self.entries_in_last_pt(start, pages)
        {
            let edit_pt = |pt: Pt<'_>| edit(pt.entries, PageSize::Size4K, Some(pt.live));
            return change_in_pt(start, pt, edit_pt);
        }
        self.levels.check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        self.for_each_slots(start, pages, |_, slots| {
            smallest = smallest.min(slots.size);
            Ok(())
        })?;
        self.for_each_slots(start, pages, |_, slots| {
            if let Some(entries) = slots.entries {
                edit(entries, slots.size, slots.parent.map(Live));
            }
            Ok(())
        })?;
        Ok(PendingFlush::new(
            start,
            pages / smallest.frames(),
            smallest,
        ))
    }

    /// Goes through the leaves of a range, those of one table and size at a time, until something is wrong with one.
    pub(super) fn for_each_slots(
        &self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(VirtAddr, Slots<'_>) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        let mut cursor = Cursor::new(self, start);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let slots = cursor.present(address, left)?;
            visit(address, slots)?;
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        Ok(())
    }
}

/// Applies `edit` to entries from `start` on, if all of them are present.
#[inline(always)]
fn change_in_pt(
    start: VirtAddr,
    pt: Pt<'_>,
    edit: impl FnOnce(Pt<'_>),
) -> Result<PendingFlush, ChangeError> {
    if !pt.all_present() {
        return Err(not_mapped(pt.entries, start));
    }
    edit(pt);
    let pages = pt.entries.len() as u64;
    Ok(PendingFlush::new(start, pages, PageSize::Size4K))
}

/// Puts the next frames into 4 KiB leaves, which keep their flags and get A and D: what the old frames were used for says
/// nothing of the new ones, so what the CPU sets meanwhile may be lost.
#[inline(always)]
fn refill(entries: &[AtomicU64], frames: &mut impl Frames) {
    const SIZE: PageSize = PageSize::Size4K;
    let flags = |entry: &AtomicU64| entry::protection(entry.load(Relaxed), SIZE);
    if let [entry] = entries {
        frames.fill(entries, flags(entry));
    } else if let Some(common) = entries::common_flags(entries, entry::address_mask(SIZE)) {
        frames.fill(entries, entry::protection(common, SIZE));
    } else {
        for same in entries.chunk_by(|one, next| flags(one) == flags(next)) {
            frames.fill(same, flags(&same[0]));
        }
    }
}
