//! The second phase of populating a range: once its tables are there and nothing is mapped in it, mapping cannot fail.

use core::sync::atomic::AtomicU64;

use super::pieces::Pieces;
use super::walk::{already_mapped, check_range};
use super::{MapError, Mapping, NoTables, PageTable, Protection, TableFrames, entries, entry};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::PhysicalMemory;

/// A range of 4 KiB pages in which nothing is mapped, and for which every table is there. It holds the page table, so that
/// both stay so.
#[derive(Debug)]
pub struct Vacant<'t, M> {
    table: &'t PageTable<M>,
    start: VirtAddr,
    pages: u64,
    /// The entries, if one PT has them all.
    entries: Option<&'t [AtomicU64]>,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Makes the tables for the `pages` pages from `start`, in a range where nothing is mapped.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map). Tables that were made stay.
    #[inline]
    pub fn vacate(
        &mut self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Result<Vacant<'_, M>, MapError> {
        if self.entries_of_one_pt(start, pages).is_none() {
            self.make_tables(start, pages, tables)?;
        }
        let table = &*self;
        let entries = table.entries_of_one_pt(start, pages);
        match entries {
            Some(entries) if entries::any_present(entries) => {
                Err(already_mapped(entries, start, PageSize::Size4K))
            }
            _ => Ok(Vacant {
                table,
                start,
                pages,
                entries,
            }),
        }
    }

    #[cold]
    fn make_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        check_range(start, pages)?;
        for piece in Pieces::new(start, Pfn(0), pages, PageSize::Size4K) {
            self.absent_entries(&piece, tables)?;
        }
        self.remember(start);
        Ok(())
    }
}

impl<M: PhysicalMemory> Vacant<'_, M> {
    /// Maps the range to `runs` of contiguous frames, (first frame, frames), one behind the other, and makes it a mapping that
    /// owns `backing`, the frames of the runs. Runs beyond the range are left out; pages beyond the runs stay absent.
    #[inline]
    pub fn map_owned<B>(
        self,
        backing: B,
        runs: impl Iterator<Item = (Pfn, u64)>,
        protection: Protection,
    ) -> Mapping<B> {
        let mapping = Mapping::new(self.start, self.pages, backing);
        let mut pieces = Pieces::new(self.start, Pfn(0), self.pages, PageSize::Size4K);
        // What is left of the PT that is being filled.
        let mut entries = self.entries.unwrap_or(&[]);
        let one_pt = self.entries.is_some();
        for (mut frame, mut frames) in runs {
            while frames > 0 {
                if entries.is_empty() {
                    let piece = if one_pt { None } else { pieces.next() };
                    match piece.map(|piece| self.table.absent_entries(&piece, &mut NoTables)) {
                        Some(Ok(next)) => entries = next,
                        _ => return mapping,
                    }
                }
                let count = entries.len().min(frames as usize);
                let (now, later) = entries.split_at(count);
                entries::fill(
                    now,
                    entry::leaf(frame, PageSize::Size4K, protection),
                    PAGE_SIZE,
                );
                entries = later;
                frame = frame.add(count as u64);
                frames -= count as u64;
            }
        }
        mapping
    }
}
