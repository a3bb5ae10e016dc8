//! Changes of mappings that are there: all of them are looked at first, and a range that cannot be changed as a whole is not
//! changed at all.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::edit::frames::large_leaves;
use crate::mm::page_table::format::pt::{PresentCount, Pt};
use crate::mm::page_table::format::{entries, entry};
use crate::mm::page_table::walk::cursor::{Cursor, Look, Slots, not_mapped};
use crate::mm::page_table::{ChangeError, Frames, OwnedRange, Protection};
use crate::mm::tlb::PendingFlush;

/// Leaves of one size in one table, all present.
pub(in crate::mm::page_table) struct Leaves<'t> {
    /// The address of the first.
    pub(in crate::mm::page_table) start: VirtAddr,
    pub(in crate::mm::page_table) entries: &'t [AtomicU64],
    pub(in crate::mm::page_table) size: PageSize,
    /// The count of entries, where the table is a PT.
    live: Option<PresentCount<'t>>,
}

impl<'t> Leaves<'t> {
    fn of(start: VirtAddr, slots: &Slots<'t>) -> Self {
        Leaves {
            start,
            entries: slots.entries.unwrap_or(&[]),
            size: slots.size,
            live: slots.parent.map(PresentCount),
        }
    }

    #[inline]
    fn of_pt(start: VirtAddr, pt: Pt<'t>) -> Self {
        Leaves {
            start,
            entries: pt.entries,
            size: PageSize::Size4K,
            live: Some(pt.live),
        }
    }
}

/// What is done to leaves that are there. A trait, as closures take no `inline` attribute.
pub(in crate::mm::page_table) trait Edit {
    /// What is looked at before any leaf of a PT is changed.
    const LOOK: Look = Look::AtEach;

    /// Whether the next `count` leaves can be changed so: called for all of a range before any is changed.
    fn check(&mut self, _start: VirtAddr, _count: u64, _size: PageSize) -> Result<(), ChangeError> {
        Ok(())
    }

    /// Changes the next leaves.
    fn edit(&mut self, leaves: Leaves<'_>);
}

pub(in crate::mm::page_table) struct Unmap;

impl Edit for Unmap {
    #[inline]
    fn edit(&mut self, leaves: Leaves<'_>) {
        entries::clear(leaves.entries);
        if let Some(live) = leaves.live {
            live.sub(leaves.entries.len() as u64);
        }
    }
}

/// Another protection for all.
pub(in crate::mm::page_table) struct Protect(pub(in crate::mm::page_table) Protection);

impl Edit for Protect {
    #[inline]
    fn edit(&mut self, leaves: Leaves<'_>) {
        let flags = entry::leaf(Pfn(0), leaves.size, self.0);
        entries::set_flags(leaves.entries, entry::address_mask(leaves.size), flags);
    }
}

/// Other frames, in order.
pub(in crate::mm::page_table) struct Remap<F> {
    frames: F,
    /// Those of them that no leaf was checked for; all, before the first.
    unchecked: Option<F>,
}

impl<F: Frames> Remap<F> {
    #[inline]
    pub(in crate::mm::page_table) const fn new(frames: F) -> Self {
        Remap {
            frames,
            unchecked: None,
        }
    }
}

impl<F: Frames> Edit for Remap<F> {
    fn check(&mut self, start: VirtAddr, count: u64, size: PageSize) -> Result<(), ChangeError> {
        let frames = self.unchecked.get_or_insert_with(|| self.frames.clone());
        if size == PageSize::Size4K {
            frames.skip(count);
            return Ok(());
        }
        for leaf in 0..count {
            let address = VirtAddr(start.0.wrapping_add(leaf * size.bytes()));
            if large_leaves(address, frames, size) == 0 {
                return Err(ChangeError::NoBlock { address, size });
            }
            frames.skip(size.frames());
        }
        Ok(())
    }

    #[inline]
    fn edit(&mut self, leaves: Leaves<'_>) {
        let size = leaves.size;
        if size == PageSize::Size4K {
            return match leaves.entries {
                [entry] => {
                    let protection = entry::protection(entry.load(Relaxed), size);
                    self.frames.fill(leaves.entries, protection);
                }
                entries => refill(entries, &mut self.frames),
            };
        }
        for entry in leaves.entries {
            let protection = entry::protection(entry.load(Relaxed), size);
            let (first, _) = self.frames.run(1);
            entry.store(entry::leaf(first, size, protection), Relaxed);
            self.frames.skip(size.frames());
        }
    }
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Takes the mapping of the `pages` pages from `start` away.
    ///
    /// # Errors
    ///
    /// The range is no range of the owner's pages, something in it is not mapped, or it cuts a large leaf. Nothing has changed.
    #[inline]
    pub fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, Unmap)
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
        self.change(start, pages, Protect(protection))
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
        frames: impl Frames,
    ) -> Result<PendingFlush, ChangeError> {
        let pages = frames.count();
        self.change(start, pages, Remap::new(frames))
    }

    /// Applies `edit` to all leaves of a range, table by table, once all of them are known to be there.
    ///
    /// A page whose PT is at hand shares nothing with all other ranges: their loops and the registers that those need are not its
    /// business.
    #[inline(always)]
    pub(in crate::mm::page_table) fn change(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        let at_hand = match pages {
            1 => self.pt_at_hand(start, 1),
            _ => None,
        };
        match at_hand {
            Some(pt) => change_in_pt(start, pt, edit),
            None => self.change_range(start, pages, edit),
        }
    }

    /// [`change`](Self::change) of any range.
    #[inline(never)]
    fn change_range<E: Edit>(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: E,
    ) -> Result<PendingFlush, ChangeError> {
        self.go_to_pd(start, pages)?;
        if let Some(pt) = self.pt_at_hand(start, pages) {
            return change_in_pt(start, pt, edit);
        }
        match self.large_at_hand(start, pages) {
            Some(leaves) if entries::all_large(leaves) => change_large(start, leaves, edit),
            _ => self.change_tables(start, pages, edit),
        }
    }

    /// [`change`](Self::change) of a range that does not lie in one table that is at hand.
    #[inline(never)]
    fn change_tables<E: Edit>(
        &self,
        start: VirtAddr,
        pages: u64,
        mut edit: E,
    ) -> Result<PendingFlush, ChangeError> {
        let mut smallest = PageSize::Size1G;
        let mut cursor = Cursor::over(self, start, pages);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let slots = cursor.present(address, left, E::LOOK)?;
            smallest = smallest.min(slots.size);
            edit.check(address, slots.count, slots.size)?;
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        let mut cursor = Cursor::over(self, start, pages);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let slots = cursor.present(address, left, Look::Before)?;
            edit.edit(Leaves::of(address, &slots));
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        let pages = pages / smallest.frames();
        Ok(PendingFlush::new(start, pages, smallest))
    }
}

/// Applies `edit` to entries of one PT, if all are present.
#[inline(always)]
fn change_in_pt<E: Edit>(
    start: VirtAddr,
    pt: Pt<'_>,
    mut edit: E,
) -> Result<PendingFlush, ChangeError> {
    let pages = pt.entries.len() as u64;
    let present = match E::LOOK {
        Look::AtCount if pages > 1 => pt.live.get() >= pages,
        _ => pt.all_present(),
    };
    if !present {
        return Err(not_mapped(pt.entries, start));
    }
    edit.edit(Leaves::of_pt(start, pt));
    Ok(PendingFlush::new(start, pages, PageSize::Size4K))
}

/// Applies `edit` to 2 MiB leaves.
fn change_large(
    start: VirtAddr,
    entries: &[AtomicU64],
    mut edit: impl Edit,
) -> Result<PendingFlush, ChangeError> {
    let (count, size) = (entries.len() as u64, PageSize::Size2M);
    edit.check(start, count, size)?;
    edit.edit(Leaves {
        start,
        entries,
        size,
        live: None,
    });
    Ok(PendingFlush::new(start, count, size))
}

/// Puts the next frames into 4 KiB leaves, which keep their flags and get A and D: what the old frames were used for says
/// nothing of the new ones, so what the CPU sets meanwhile may be lost. Long, and called from many places.
#[inline(never)]
fn refill(entries: &[AtomicU64], frames: &mut impl Frames) {
    const SIZE: PageSize = PageSize::Size4K;
    let flags = |entry: &AtomicU64| entry::protection(entry.load(Relaxed), SIZE);
    if let Some(common) = entries::common_flags(entries, entry::address_mask(SIZE)) {
        frames.fill(entries, entry::protection(common, SIZE));
    } else {
        for same in entries.chunk_by(|one, next| flags(one) == flags(next)) {
            frames.fill(same, flags(&same[0]));
        }
    }
}
