//! Making mappings, in three steps: look at every entry that is going to change, get all tables that are missing, and only then
//! write. After the first two nothing can fail, so nothing has to be undone.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cursor::{Cursor, already_mapped, large_leaves};
use super::entry::Entry;
use super::pd::{InPd, Part};
use super::pt::Live;
use super::tables::{TableFrames, Tables};
use super::{Frames, MapError, Mapping, PageTable, Protection, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use crate::mm::hardware::PhysicalMemory;

const LARGE: PageSize = PageSize::Size2M;

impl<M: PhysicalMemory> PageTable<M> {
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
        match self.page_in_last_pt(start, frames.count()) {
            Some(pt) if pt.any_present() => Err(already_mapped(pt.entries, start)),
            Some(pt) => {
                pt.fill(&mut frames, protection);
                Ok(())
            }
            None => self.map_in_other_tables(start, frames, protection, largest, tables),
        }
    }

    /// [`map`](Self::map) in another PT, or of more than a page.
    #[inline(never)]
    fn map_in_other_tables(
        &mut self,
        start: VirtAddr,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        match self.page_below_last_pd(start, frames.count()) {
            Some(pt) if pt.any_present() => Err(already_mapped(pt.entries, start)),
            Some(pt) => {
                pt.fill(&mut frames, protection);
                Ok(())
            }
            None => self.map_range(start, frames, protection, largest, tables),
        }
    }

    /// [`map`](Self::map) of any range.
    #[cold]
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
        if largest >= LARGE {
            // Neither leaves nor tables: so it is as a rule with blocks as large as leaves.
            if frames.are_blocks_of(LARGE.frames())
                && let Some(leaves) = self.leaves_in_last_pd(start, pages)
                && !entries::any_present(leaves)
            {
                fill_large(leaves, frames, protection);
                return Ok(());
            }
        } else if let Some(pt) = self.entries_in_pt(start, pages) {
            if !pt.any_present() {
                pt.fill(&mut frames, protection);
                return Ok(());
            }
        } else if let Some(range) = self.range_in_last_pd(start, pages)
            && let Some((one, other)) = self.two_pts_of(range)
            && !one.any_present()
            && !other.any_present()
        {
            one.fill(&mut frames, protection);
            other.fill(&mut frames, protection);
            return Ok(());
        }
        self.map_elsewhere(start, frames, protection, largest, tables)
    }

    /// [`map`](Self::map) of a range that is not as it is as a rule: in other tables, in tables to be built, or taken.
    #[inline(always)]
    fn map_elsewhere(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let pages = frames.count();
        self.remember_pd_of(start, pages);
        match self.range_in_last_pd(start, pages) {
            Some(range) => self.map_in_pd(start, range, frames, protection, largest, tables),
            None => self.map_by_tables(start, frames, protection, largest, tables),
        }
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
}

/// A range in one PD.
impl<M: PhysicalMemory> PageTable<M> {
    #[inline(always)]
    fn map_in_pd(
        &self,
        start: VirtAddr,
        range: InPd<'_>,
        frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let missing = self.look_in_pd(start, range, frames.clone(), largest)?;
        let tables = allocate(start, missing, tables)?;
        self.fill_in_pd(start, range, frames, protection, largest, tables);
        Ok(())
    }

    /// How many PTs are missing.
    #[inline(always)]
    fn look_in_pd(
        &self,
        start: VirtAddr,
        range: InPd<'_>,
        mut frames: impl Frames,
        largest: PageSize,
    ) -> Result<u64, MapError> {
        let mut missing = 0;
        let mut address = start;
        for part in range {
            match part.read() {
                Entry::Leaf(..) => return Err(MapError::AlreadyMapped { address }),
                Entry::Table(frame) => {
                    let pt = self.entries_of(&part, frame);
                    if pt.any_present() {
                        return Err(already_mapped(pt.entries, address));
                    }
                }
                Entry::Absent if takes_large_leaf(&part, address, &frames, largest) => {}
                Entry::Absent => missing += 1,
            }
            if largest > PageSize::Size4K {
                frames.skip(part.pages());
            }
            address = part.end(address);
        }
        Ok(missing)
    }

    /// Writes what was looked at before.
    #[inline(never)]
    fn fill_in_pd(
        &self,
        start: VirtAddr,
        range: InPd<'_>,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        mut tables: Tables,
    ) {
        let mut address = start;
        for part in range {
            let table = match part.read() {
                Entry::Table(frame) => Some(frame),
                Entry::Absent if takes_large_leaf(&part, address, &frames, largest) => {
                    let (first, _) = frames.run(1);
                    let leaf = entry::leaf(first, LARGE, protection);
                    part.entry.store(leaf, Relaxed);
                    frames.skip(LARGE.frames());
                    address = part.end(address);
                    continue;
                }
                Entry::Absent => {
                    let table = self.next_table(&mut tables);
                    table.inspect(|&table| part.entry.store(entry::table(table), Relaxed))
                }
                Entry::Leaf(..) => None,
            };
            // It is there, as was looked at.
            let Some(table) = table else { break };
            self.entries_of(&part, table).fill(&mut frames, protection);
            address = part.end(address);
        }
    }
}

/// Any range.
impl<M: PhysicalMemory> PageTable<M> {
    #[cold]
    #[inline(never)]
    fn map_by_tables(
        &self,
        start: VirtAddr,
        frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let tables = self.missing_tables(start, frames.clone(), largest, tables)?;
        self.fill_by_tables(start, frames, protection, largest, tables);
        Ok(())
    }

    /// The tables that are missing where nothing else is.
    pub(super) fn missing_tables(
        &self,
        start: VirtAddr,
        mut frames: impl Frames,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<Tables, MapError> {
        self.levels.check_range(start, frames.count())?;
        let mut missing = 0;
        let mut cursor = Cursor::new(self, start);
        let mut address = start;
        while frames.count() > 0 {
            let slots = cursor.vacant(address, &frames, largest, |_| {
                missing += 1;
                None
            })?;
            address.0 = address.0.wrapping_add(slots.pages() * PAGE_SIZE);
            frames.skip(slots.pages());
        }
        allocate(start, missing, tables)
    }

    /// Writes what was looked at before.
    fn fill_by_tables(
        &self,
        start: VirtAddr,
        mut frames: impl Frames,
        protection: Protection,
        largest: PageSize,
        mut tables: Tables,
    ) {
        let mut cursor = Cursor::new(self, start);
        let mut address = start;
        while frames.count() > 0 {
            let slots = cursor.vacant(address, &frames, largest, |parent| {
                let table = self.next_table(&mut tables)?;
                parent?.store(entry::table(table), Relaxed);
                Some(table)
            });
            // Both are there, as was looked at.
            let Ok(slots) = slots else { break };
            let Some(entries) = slots.entries else { break };
            let pages = slots.pages();
            if slots.size == PageSize::Size4K {
                frames.fill(entries, protection);
            } else {
                let (first, _) = frames.run(1);
                let first = entry::leaf(first, slots.size, protection);
                entries::fill(entries, first, slots.size.bytes());
                frames.skip(pages);
            }
            if let Some(parent) = slots.parent {
                Live(parent).add(slots.count);
            }
            address.0 = address.0.wrapping_add(pages * PAGE_SIZE);
        }
    }
}

/// So many tables for the range from `start` on.
#[inline(always)]
fn allocate(
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

/// Writes 2 MiB leaves for blocks of frames, of which there are as many.
#[inline(always)]
fn fill_large(entries: &[AtomicU64], mut frames: impl Frames, protection: Protection) {
    let (mut word, mut leaves) = (0, 0);
    for entry in entries {
        if leaves == 0 {
            let (first, run) = frames.take_run();
            debug_assert!(first.address().is_aligned(LARGE.bytes()));
            word = entry::leaf(first, LARGE, protection);
            leaves = run / LARGE.frames();
        }
        entry.store(word, Relaxed);
        word += LARGE.bytes();
        leaves -= 1;
    }
}

/// Whether the next frames get a 2 MiB leaf in place of a part that nothing is mapped in.
#[inline(always)]
fn takes_large_leaf(
    part: &Part<'_>,
    address: VirtAddr,
    frames: &impl Frames,
    largest: PageSize,
) -> bool {
    largest >= LARGE && part.is_whole() && large_leaves(address, frames, LARGE) > 0
}
