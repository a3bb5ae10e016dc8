//! Making mappings, in three steps: look at every entry that is going to change, get all tables that are missing, and only then
//! write. After the first two nothing can fail, so nothing has to be undone.

use core::sync::atomic::AtomicU64;

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::edit::frames::large_leaves;
use crate::mm::page_table::format::pt::{PresentCount, Pt};
use crate::mm::page_table::format::{entries, entry};
use crate::mm::page_table::tables::{TableFrames, Tables};
use crate::mm::page_table::walk::cursor::{Cursor, Slots, already_mapped};
use crate::mm::page_table::{Fill, Frames, MapError, Mapping, OwnedRange, Protection};

const LARGE: PageSize = PageSize::Size2M;

/// What a look at a range where something is to be mapped found: nothing is mapped there.
pub(in crate::mm::page_table) enum Vacant<'t> {
    /// All of it lies in one table, which is there.
    InOneTable(Slots<'t>),
    /// Any other, with the number of tables that are missing.
    Missing(u64),
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Maps the pages from `start` on to `frames`, with the largest leaves up to `largest` that address and frames are aligned
    /// for and that have no table in their place.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something is mapped in it, or there is no frame for a table. Nothing has changed.
    #[inline(always)]
    pub fn map(
        &mut self,
        start: VirtAddr,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let at_hand = match frames.count() {
            1 => self.pt_at_hand(start, 1),
            _ => None,
        };
        match at_hand {
            Some(pt) if pt.any_present() => Err(already_mapped(pt.entries, start)),
            Some(pt) => {
                pt.fill(&mut frames, protection);
                Ok(())
            }
            None => self.map_range(start, frames, protection, largest, tables),
        }
    }

    /// [`map`](Self::map) of any range.
    #[inline(never)]
    fn map_range(
        &mut self,
        start: VirtAddr,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let pages = frames.count();
        self.go_to_pd(start, pages)?;
        if let Some(pt) = self.pt_at_hand(start, pages) {
            if pt.any_present() {
                return Err(already_mapped(pt.entries, start));
            }
            pt.fill(&mut frames, protection);
            return Ok(());
        }
        if largest >= LARGE
            && frames.are_blocks_of(LARGE.frames())
            && let Some(entries) = self.large_at_hand(start, pages)
            && !entries::any_present(entries)
        {
            write_large(entries, LARGE, &mut frames, protection);
            return Ok(());
        }
        match self.look(start, frames.clone(), largest)? {
            // All lie in one table: its entries are at hand.
            Vacant::InOneTable(slots) => write(&slots, &mut frames, protection),
            Vacant::Missing(missing) => {
                let new = allocate(start, missing, tables)?;
                let unused = self.write_tables(start, frames, protection, largest, new);
                tables.give_back(unused);
            }
        }
        Ok(())
    }

    /// [`map`](Self::map), and makes the range a mapping that owns `backing`, the frames.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map); the frames come back.
    #[inline(always)]
    pub fn map_owned<B>(
        &mut self,
        start: VirtAddr,
        backing: B,
        frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<Mapping<B>, (MapError, B)> {
        let pages = frames.count();
        match self.map(start, frames, protection, largest, tables) {
            Ok(()) => Ok(Mapping::new(start, pages, backing)),
            Err(error) => Err((error, backing)),
        }
    }

    /// Looks at a range where `frames` are to be mapped: nothing may be mapped there.
    pub(in crate::mm::page_table) fn look(
        &self,
        start: VirtAddr,
        mut frames: impl Frames,
        largest: PageSize,
    ) -> Result<Vacant<'_>, MapError> {
        let pages = frames.count();
        let mut cursor = Cursor::over(self, start, pages);
        let (mut address, mut left, mut missing) = (start, pages, 0);
        while left > 0 {
            let slots = cursor.vacant(address, left, leaves_of(&frames, largest), |_| {
                missing += 1;
                None
            })?;
            if let Some(entries) = slots.entries
                && let Some(parent) = slots.parent
            {
                let live = PresentCount(parent);
                if (Pt { entries, live }).any_present() {
                    return Err(already_mapped(entries, address));
                }
            }
            let here = slots.pages();
            if here == pages && missing == 0 {
                return Ok(Vacant::InOneTable(slots));
            }
            left -= here;
            address.0 = address.0.wrapping_add(here * PAGE_SIZE);
            // Without large leaves nobody asks which frames they are.
            if largest > PageSize::Size4K {
                frames.skip(here);
            }
        }
        Ok(Vacant::Missing(missing))
    }

    /// Writes what was looked at before. Returns the tables that others installed meanwhile.
    fn write_tables(
        &self,
        start: VirtAddr,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        mut tables: Tables,
    ) -> Tables {
        let mut left = frames.count();
        let mut cursor = Cursor::over(self, start, left);
        let mut address = start;
        while left > 0 {
            let slots = cursor.vacant(address, left, leaves_of(&frames, largest), |parent| {
                self.install(parent, &mut tables)
            });
            // All is there, as was looked at.
            let Ok(slots) = slots else { break };
            write(&slots, &mut frames, protection);
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        tables
    }

    /// Writes the PTs' entries of a range that was looked at before, for frames that come one by one.
    pub(in crate::mm::page_table) fn write_pages(
        &self,
        start: VirtAddr,
        pages: u64,
        frames: &mut impl Fill,
        protection: Protection,
    ) {
        let mut cursor = Cursor::over(self, start, pages);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let slots = cursor.vacant(address, left, |_, _| 0, |_| None);
            // All is there, as was looked at.
            let Ok(slots) = slots else { break };
            if let Some(entries) = slots.entries
                && let Some(parent) = slots.parent
            {
                let live = PresentCount(parent);
                Pt { entries, live }.fill(frames, protection);
            }
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
    }

    /// Makes the PTs that are missing for a range, where nothing else is. Returns the tables that others installed meanwhile.
    pub(in crate::mm::page_table) fn make_pts(
        &self,
        start: VirtAddr,
        pages: u64,
        mut tables: Tables,
    ) -> Tables {
        let mut cursor = Cursor::over(self, start, pages);
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let install = |parent: Option<&AtomicU64>| self.install(parent, &mut tables);
            let slots = cursor.vacant(address, left, |_, _| 0, install);
            let Ok(slots) = slots else { break };
            left -= slots.pages();
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
        }
        tables
    }

    /// Makes the next of `tables` the one that an absent entry leads to, and returns it; or the one that the owner of other addresses
    /// below the entry has installed meanwhile.
    fn install(&self, parent: Option<&AtomicU64>, tables: &mut Tables) -> Option<Pfn> {
        self.tree.install(parent?, tables)
    }
}

/// `missing` tables for the range from `start` on.
#[inline]
pub(in crate::mm::page_table) fn allocate(
    start: VirtAddr,
    missing: u64,
    from: &mut impl TableFrames,
) -> Result<Tables, MapError> {
    if missing == 0 {
        return Ok(Tables::NONE);
    }
    let out = MapError::OutOfTables {
        address: start,
        tables: missing,
    };
    from.allocate_tables(missing).ok_or(out)
}

/// How many leaves of a size the frames allow for from an address on, up to `largest`.
fn leaves_of(frames: &impl Frames, largest: PageSize) -> impl Fn(VirtAddr, PageSize) -> u64 {
    move |address, size| match size <= largest && size > PageSize::Size4K {
        true => large_leaves(address, frames, size),
        false => 0,
    }
}

/// Maps entries, which are absent, to the next frames.
#[inline]
fn write(slots: &Slots<'_>, frames: &mut impl Frames, protection: Protection) {
    let Some(entries) = slots.entries else { return };
    match slots.parent {
        Some(parent) => {
            let live = PresentCount(parent);
            Pt { entries, live }.fill(frames, protection);
        }
        None => write_large(entries, slots.size, frames, protection),
    }
}

/// Writes large leaves for the next frames, which were counted before.
#[inline]
fn write_large(
    mut entries: &[AtomicU64],
    size: PageSize,
    frames: &mut impl Frames,
    protection: Protection,
) {
    while !entries.is_empty() {
        let (first, run) = frames.run(entries.len() as u64 * size.frames());
        let leaves = entries.len().min((run / size.frames()) as usize);
        debug_assert!(leaves > 0 && first.address().is_aligned(size.bytes()));
        if leaves == 0 {
            return;
        }
        let (now, later) = entries.split_at(leaves);
        let leaf = entry::leaf(first, size, protection);
        entries::fill(now, leaf, size.bytes());
        frames.skip(leaves as u64 * size.frames());
        entries = later;
    }
}
