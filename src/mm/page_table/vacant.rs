//! Making mappings, in three steps: look at every entry that is going to change, get all tables that are missing, and only then
//! write. After the first two nothing can fail, so nothing has to be undone.

use super::cursor::{Cursor, already_mapped, large_leaves};
use super::entry::Entry;
use super::pd::{InPd, Part};
use super::pt::{Live, Pt};
use super::tables::{TableFrames, Tables};
use super::{Frames, MapError, Mapping, PageTable, Protection, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use core::sync::atomic::Ordering::Relaxed;

/// A range in which nothing is mapped. It holds the page table, so that this stays so.
#[derive(Debug)]
pub struct Vacant<'t, M> {
    tree: &'t PageTable<M>,
    start: VirtAddr,
    pages: u64,
    largest: PageSize,
    place: Place<'t>,
    /// Tables that are not there.
    missing: u64,
}

/// Where in the tree a range lies.
#[derive(Debug)]
enum Place<'t> {
    /// In one PT: these are its entries.
    InPt(Pt<'t>),
    /// In one PD.
    InPd(InPd<'t>),
    /// In more, or the PD is not there.
    Anywhere,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Maps the pages from `start` on to `frames`, with the largest leaves up to `largest` that address and frames are aligned
    /// for and that have no table in their place.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something is mapped in it, or there is no frame for a table. Nothing has changed.
    #[inline]
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
        match self.entries_in_pt(start, pages) {
            Some(pt) if pt.any_present() => Err(already_mapped(pt.entries, start)),
            Some(pt) => {
                pt.fill(&mut frames, protection);
                Ok(())
            }
            None => {
                self.remember_pd_of(start, pages);
                let vacant = self.vacate_beyond_pt(start, frames.clone(), largest)?;
                let tables = vacant.allocate_tables(tables)?;
                vacant.map_beyond_pt(frames, protection, tables);
                Ok(())
            }
        }
    }

    /// [`map`](Self::map), and makes the range a mapping that owns `backing`, the frames.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map); the frames come back.
    #[inline]
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

    /// The first step of a mapping, for callers whose frames are to be had only while no table is allocated: a range where
    /// nothing is mapped. The frames are looked at but not kept.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, or something is mapped in it.
    #[inline]
    pub fn vacate(
        &mut self,
        start: VirtAddr,
        frames: impl Frames,
        largest: PageSize,
    ) -> Result<Vacant<'_, M>, MapError> {
        let pages = frames.count();
        if self.entries_in_pt(start, pages).is_none() {
            self.remember_pd_of(start, pages);
        }
        let tree = &*self;
        match tree.entries_in_last_pt(start, pages) {
            Some(pt) if pt.any_present() => Err(already_mapped(pt.entries, start)),
            Some(pt) => Ok(Vacant {
                tree,
                start,
                pages,
                largest,
                place: Place::InPt(pt),
                missing: 0,
            }),
            None => tree.vacate_beyond_pt(start, frames, largest),
        }
    }

    /// [`vacate`](Self::vacate) of a range that lies in no PT that is there. Its PD, if there is one, was edited last.
    #[inline(always)]
    fn vacate_beyond_pt(
        &self,
        start: VirtAddr,
        frames: impl Frames,
        largest: PageSize,
    ) -> Result<Vacant<'_, M>, MapError> {
        match self.range_in_last_pd(start, frames.count()) {
            Some(range) => self.vacate_in_pd(start, range, frames, largest),
            None => self.vacate_by_tables(start, frames, largest),
        }
    }

    /// [`vacate`](Self::vacate) of a range that lies in one PD.
    #[inline(always)]
    fn vacate_in_pd<'t>(
        &'t self,
        start: VirtAddr,
        range: InPd<'t>,
        mut frames: impl Frames,
        largest: PageSize,
    ) -> Result<Vacant<'t, M>, MapError> {
        let pages = frames.count();
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
        Ok(Vacant {
            tree: self,
            start,
            pages,
            largest,
            place: Place::InPd(range),
            missing,
        })
    }

    /// [`vacate`](Self::vacate) of any range.
    #[cold]
    #[inline(never)]
    fn vacate_by_tables(
        &self,
        start: VirtAddr,
        mut frames: impl Frames,
        largest: PageSize,
    ) -> Result<Vacant<'_, M>, MapError> {
        let pages = frames.count();
        self.levels.check_range(start, pages)?;
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
        Ok(Vacant {
            tree: self,
            start,
            pages,
            largest,
            place: Place::Anywhere,
            missing,
        })
    }
}

impl<M: PhysicalMemory> Vacant<'_, M> {
    /// Tables that a mapping here has to build.
    #[must_use]
    pub const fn missing_tables(&self) -> u64 {
        self.missing
    }

    /// The second step: the tables that are missing.
    ///
    /// # Errors
    ///
    /// There are not so many frames.
    #[inline]
    pub fn allocate_tables(&self, from: &mut impl TableFrames) -> Result<Tables, MapError> {
        if self.missing == 0 {
            return Ok(Tables::NONE);
        }
        let out = MapError::OutOfTables {
            address: self.start,
            tables: self.missing,
        };
        from.allocate_tables(self.missing).ok_or(out)
    }

    /// The third step: maps the range to the frames that it was [vacated](PageTable::vacate) for, with the tables that were
    /// missing.
    #[inline]
    pub fn map(self, mut frames: impl Frames, protection: Protection, tables: Tables) {
        match self.place {
            Place::InPt(pt) => pt.fill(&mut frames, protection),
            _ => self.map_beyond_pt(frames, protection, tables),
        }
    }

    /// [`map`](Self::map) of a range that does not lie in one PT.
    #[inline(always)]
    fn map_beyond_pt(self, frames: impl Frames, protection: Protection, tables: Tables) {
        match self.place {
            Place::InPd(range) => self.map_in_pd(range, frames, protection, tables),
            _ => self.map_by_tables(frames, protection, tables),
        }
    }

    /// [`map`](Self::map) of a range that lies in one PD.
    #[inline(always)]
    fn map_in_pd(
        &self,
        range: InPd<'_>,
        mut frames: impl Frames,
        protection: Protection,
        mut tables: Tables,
    ) {
        const LARGE: PageSize = PageSize::Size2M;
        let mut address = self.start;
        for part in range {
            let table = match part.read() {
                Entry::Table(frame) => Some(frame),
                Entry::Absent if takes_large_leaf(&part, address, &frames, self.largest) => {
                    let (first, _) = frames.run(1);
                    part.entry
                        .store(entry::leaf(first, LARGE, protection), Relaxed);
                    frames.skip(LARGE.frames());
                    address = part.end(address);
                    continue;
                }
                Entry::Absent => {
                    let table = self.tree.next_table(&mut tables);
                    table.inspect(|&table| part.entry.store(entry::table(table), Relaxed))
                }
                Entry::Leaf(..) => None,
            };
            // It is there for the frames that the range was vacated for, and for others mapping ends here.
            let Some(table) = table else { break };
            self.tree
                .entries_of(&part, table)
                .fill(&mut frames, protection);
            address = part.end(address);
        }
    }

    /// [`map`](Self::map) of any range.
    #[cold]
    #[inline(never)]
    fn map_by_tables(self, mut frames: impl Frames, protection: Protection, mut tables: Tables) {
        let tree = self.tree;
        let mut cursor = Cursor::new(tree, self.start);
        let mut address = self.start;
        while frames.count() > 0 {
            let slots = cursor.vacant(address, &frames, self.largest, |parent| {
                let table = tree.next_table(&mut tables)?;
                parent?.store(entry::table(table), Relaxed);
                Some(table)
            });
            // Both are there for the frames that the range was vacated for, and for others mapping ends here.
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

    /// [`map`](Self::map), and makes the range a mapping that owns `backing`, the frames.
    #[inline]
    pub fn map_owned<B>(
        self,
        backing: B,
        frames: impl Frames,
        protection: Protection,
        tables: Tables,
    ) -> Mapping<B> {
        let mapping = Mapping::new(self.start, self.pages, backing);
        self.map(frames, protection, tables);
        mapping
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
    const LARGE: PageSize = PageSize::Size2M;
    largest >= LARGE && part.is_whole() && large_leaves(address, frames, LARGE) > 0
}
