//! Changes of mappings that are there: all of them are looked at first, and a range that cannot be changed as a whole is not
//! changed at all.

use core::slice;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cursor::{Cursor, Slots, large_leaves, not_mapped};
use super::entry::Entry;
use super::pd::InPd;
use super::pt::{Live, Pt};
use super::{ChangeError, Frames, PageTable, Protection, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// Leaves of one size in one table, all present.
pub(super) struct Leaves<'t> {
    /// The address of the first.
    pub(super) start: VirtAddr,
    pub(super) entries: &'t [AtomicU64],
    pub(super) size: PageSize,
    /// The count of entries, where the table is a PT.
    live: Option<Live<'t>>,
}

impl<'t> Leaves<'t> {
    fn of(start: VirtAddr, slots: &Slots<'t>) -> Self {
        Leaves {
            start,
            entries: slots.entries.unwrap_or(&[]),
            size: slots.size,
            live: slots.parent.map(Live),
        }
    }

    #[inline(always)]
    fn of_pt(start: VirtAddr, pt: Pt<'t>) -> Self {
        Leaves {
            start,
            entries: pt.entries,
            size: PageSize::Size4K,
            live: Some(pt.live),
        }
    }
}

/// What is done to leaves that are there. A trait, as closures cannot be told to be inlined.
pub(super) trait Edit {
    /// Whether the next `count` leaves can be changed so: called for all of a range before any is changed.
    fn check(&mut self, _start: VirtAddr, _count: u64, _size: PageSize) -> Result<(), ChangeError> {
        Ok(())
    }

    /// Changes the next leaves.
    fn edit(&mut self, leaves: Leaves<'_>);
}

pub(super) struct Unmap;

impl Edit for Unmap {
    #[inline(always)]
    fn edit(&mut self, leaves: Leaves<'_>) {
        entries::clear(leaves.entries);
        if let Some(live) = leaves.live {
            live.sub(leaves.entries.len() as u64);
        }
    }
}

/// Another protection for all.
pub(super) struct Protect(pub(super) Protection);

impl Edit for Protect {
    #[inline(always)]
    fn edit(&mut self, leaves: Leaves<'_>) {
        let flags = entry::leaf(Pfn(0), leaves.size, self.0);
        entries::set_flags(leaves.entries, entry::address_mask(leaves.size), flags);
    }
}

/// Other frames, in order.
pub(super) struct Remap<F> {
    frames: F,
    /// Those of them that no leaf was checked for; all, before the first.
    unchecked: Option<F>,
}

impl<F: Frames> Remap<F> {
    #[inline(always)]
    pub(super) const fn new(frames: F) -> Self {
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

    #[inline(always)]
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

impl<M: PhysicalMemory> PageTable<M> {
    /// Takes the mapping of the `pages` pages from `start` away, whoever made it: for owners of addresses that keep no
    /// [`Mapping`](super::Mapping).
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something in it is not mapped, or it cuts a large leaf. Nothing has changed.
    ///
    /// # Safety
    ///
    /// The addresses are the caller's: nobody else uses what is mapped there, or has a mapping of it to take apart.
    #[inline]
    pub unsafe fn unmap_at(
        &mut self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, Unmap)
    }

    /// Gives the `pages` pages from `start` another protection, whoever mapped them.
    ///
    /// # Errors
    ///
    /// As for [`unmap_at`](Self::unmap_at).
    ///
    /// # Safety
    ///
    /// As for [`unmap_at`](Self::unmap_at); others may use the addresses as the new protection allows.
    #[inline]
    pub unsafe fn protect_at(
        &mut self,
        start: VirtAddr,
        pages: u64,
        protection: Protection,
    ) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, Protect(protection))
    }

    /// Puts other frames behind the pages from `start` on, which keep their protection, whoever mapped them.
    ///
    /// # Errors
    ///
    /// As for [`unmap_at`](Self::unmap_at), or a large leaf would not get a block of frames that is aligned and contiguous.
    ///
    /// # Safety
    ///
    /// As for [`unmap_at`](Self::unmap_at).
    #[inline]
    pub unsafe fn remap_at(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
    ) -> Result<PendingFlush, ChangeError> {
        let pages = frames.count();
        self.change(start, pages, Remap::new(frames))
    }

    /// Applies `edit` to all leaves of a range, table by table, once all of them are known to be there.
    ///
    /// One page in a PT that is there shares nothing with all other ranges: their loops and the registers that those need are not its
    /// business.
    #[inline(always)]
    pub(super) fn change(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        match self.page_in_last_pt(start, pages) {
            Some(pt) => change_in_pt(start, pt, edit),
            None => self.change_elsewhere(start, pages, edit),
        }
    }

    /// [`change`](Self::change) in another PT, or of more than a page.
    #[inline(never)]
    fn change_elsewhere(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        match self.page_below_last_pd(start, pages) {
            Some(pt) => change_in_pt(start, pt, edit),
            None => self.change_range(start, pages, edit),
        }
    }

    /// [`change`](Self::change) of any range.
    #[cold]
    #[inline(never)]
    fn change_range(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        match self.entries_in_pt(start, pages) {
            Some(pt) => change_in_pt(start, pt, edit),
            None => {
                self.remember_pd_of(start, pages);
                match self.range_in_last_pd(start, pages) {
                    Some(_)
                        if let Some(leaves) = self.leaves_in_last_pd(start, pages)
                            && entries::all_large(leaves) =>
                    {
                        change_large(start, leaves, edit)
                    }
                    Some(range) => self.change_in_pd(start, pages, range, edit),
                    None => self.change_by_tables(start, pages, edit),
                }
            }
        }
    }

    /// [`change`](Self::change) of a range that lies in one PD.
    #[inline(always)]
    fn change_in_pd(
        &self,
        start: VirtAddr,
        pages: u64,
        range: InPd<'_>,
        mut edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        const LARGE: PageSize = PageSize::Size2M;
        let mut smallest = LARGE;
        let mut address = start;
        for part in range {
            match part.read() {
                Entry::Absent => return Err(ChangeError::NotMapped { address }),
                Entry::Leaf(..) if part.is_whole() => edit.check(address, 1, LARGE)?,
                Entry::Leaf(..) => {
                    let size = LARGE;
                    return Err(ChangeError::CutsLeaf { address, size });
                }
                Entry::Table(frame) => {
                    let pt = self.entries_of(&part, frame);
                    if !pt.all_present() {
                        return Err(not_mapped(pt.entries, address));
                    }
                    edit.check(address, part.pages(), PageSize::Size4K)?;
                    smallest = PageSize::Size4K;
                }
            }
            address = part.end(address);
        }
        let mut address = start;
        for part in range {
            edit.edit(match part.read() {
                Entry::Table(frame) => Leaves::of_pt(address, self.entries_of(&part, frame)),
                _ => Leaves {
                    start: address,
                    entries: slice::from_ref(part.entry),
                    size: LARGE,
                    live: None,
                },
            });
            address = part.end(address);
        }
        let pages = pages / smallest.frames();
        Ok(PendingFlush::new(start, pages, smallest))
    }

    /// [`change`](Self::change) of a range that does not lie in one PD.
    fn change_by_tables(
        &self,
        start: VirtAddr,
        pages: u64,
        mut edit: impl Edit,
    ) -> Result<PendingFlush, ChangeError> {
        self.levels.check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        self.for_each_slots(start, pages, |start, slots| {
            smallest = smallest.min(slots.size);
            edit.check(start, slots.count, slots.size)
        })?;
        self.for_each_slots(start, pages, |start, slots| {
            edit.edit(Leaves::of(start, &slots));
            Ok(())
        })?;
        Ok(PendingFlush::new(
            start,
            pages / smallest.frames(),
            smallest,
        ))
    }

    /// Goes through the leaves of a range, those of one table and size at a time, until something is wrong with one.
    fn for_each_slots<'t>(
        &'t self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(VirtAddr, Slots<'t>) -> Result<(), ChangeError>,
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
pub(super) fn change_in_pt(
    start: VirtAddr,
    pt: Pt<'_>,
    mut edit: impl Edit,
) -> Result<PendingFlush, ChangeError> {
    if !pt.all_present() {
        return Err(not_mapped(pt.entries, start));
    }
    edit.edit(Leaves::of_pt(start, pt));
    let pages = pt.entries.len() as u64;
    Ok(PendingFlush::new(start, pages, PageSize::Size4K))
}

/// Applies `edit` to 2 MiB leaves from `start` on.
#[inline(always)]
fn change_large(
    start: VirtAddr,
    entries: &[AtomicU64],
    mut edit: impl Edit,
) -> Result<PendingFlush, ChangeError> {
    let (leaves, size) = (entries.len() as u64, PageSize::Size2M);
    edit.check(start, leaves, size)?;
    edit.edit(Leaves {
        start,
        entries,
        size,
        live: None,
    });
    Ok(PendingFlush::new(start, leaves, size))
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
