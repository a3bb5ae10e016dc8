//! Split and collapse: a large leaf becomes a table of 512 smaller ones, and back. What is mapped stays the same.

use core::sync::atomic::Ordering::Relaxed;

use crate::mm::address::{PageSize, Pfn, PhysAddr, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::{self, Entry, USED};
use crate::mm::page_table::format::pt::PresentCount;
use crate::mm::page_table::walk::cursor::Cursor;
use crate::mm::page_table::walk::directory::Directory;
use crate::mm::page_table::{OwnedRange, ResizeError, Table, TableFrames, Tables};
use crate::mm::tlb::PendingFlush;

/// A table that a collapse put out of work. It still holds what it held, as CPUs may walk through it until the flush.
#[must_use = "the frame leaks unless it is cleared and given back"]
#[derive(PartialEq, Eq, Debug)]
pub struct OldTable(Pfn);

impl<M: PhysicalMemory> OwnedRange<M> {
    /// Splits the large leaf that maps `address` into 512 leaves of the next smaller size, in a new table.
    ///
    /// # Errors
    ///
    /// There is no large leaf, or not all of it is the owner's, or no frame for the table. Nothing has changed.
    pub fn split(
        &mut self,
        address: VirtAddr,
        tables: &mut impl TableFrames,
    ) -> Result<PendingFlush, ResizeError> {
        let mut cursor = self.cursor(address)?;
        let (entry, size) = loop {
            match (cursor.read(), cursor.entry(), cursor.leaf_size()) {
                (Entry::Table(frame), ..) => cursor.descend(Some(frame)),
                (Entry::Leaf(..), _, Some(PageSize::Size4K)) => {
                    return Err(ResizeError::Smallest { address });
                }
                (Entry::Leaf(..), Some(entry), Some(size)) => break (entry, size),
                _ => return Err(ResizeError::NotMapped { address }),
            }
        };
        let start = VirtAddr(address.0 & !(size.bytes() - 1));
        if !self.has(start, size.frames()) {
            return Err(ResizeError::NotOwned { address, size });
        }
        let word = entry.load(Relaxed);
        let frame = tables
            .allocate_tables(1)
            .and_then(|mut tables| self.next_table(&mut tables))
            .ok_or(ResizeError::OutOfTables { address })?;
        let smaller = smaller(size);
        let table = self.table(frame);
        entries::fill(table, smaller_leaf(word, size), smaller.bytes());
        let new = entry::table(frame);
        // What the CPU set in the leaf since it was read is taken over: hence the exchange.
        let set = entry.swap(new, Relaxed) & !word & USED;
        if set != 0 {
            for entry in table {
                entry.fetch_or(set, Relaxed);
            }
        }
        if smaller == PageSize::Size4K {
            PresentCount(entry).add(WORDS_PER_PAGE as u64);
        }
        Ok(PendingFlush::new(start, 1, size))
    }

    /// Makes one leaf of `size` out of the 512 of the next smaller size from `address` on. They have to map contiguous, aligned
    /// frames with one protection. Their table waits for the flush.
    ///
    /// # Errors
    ///
    /// They do not, or not all of them are the owner's. Nothing has changed.
    pub fn collapse(
        &mut self,
        address: VirtAddr,
        size: PageSize,
    ) -> Result<PendingFlush<OldTable>, ResizeError> {
        if size == PageSize::Size4K {
            return Err(ResizeError::Smallest { address });
        }
        if !address.is_aligned(size.bytes()) {
            return Err(ResizeError::Misaligned { address, size });
        }
        if !self.has(address, size.frames()) {
            return Err(ResizeError::NotOwned { address, size });
        }
        let mut cursor = self.cursor(address)?;
        let (entry, frame) = loop {
            match (cursor.read(), cursor.entry()) {
                (Entry::Table(frame), Some(entry)) if cursor.leaf_size() == Some(size) => {
                    break (entry, frame);
                }
                (Entry::Table(frame), _) => cursor.descend(Some(frame)),
                (Entry::Absent, _) => return Err(ResizeError::NotMapped { address }),
                (Entry::Leaf(..), _) => return Err(ResizeError::AlreadyLarge { address }),
            }
        };
        let leaf = larger_leaf(self.table(frame), address, size)?;
        entry.store(leaf, Relaxed);
        // It may have been a PD.
        self.directory = Directory::NONE;
        Ok(PendingFlush::everything().guard(OldTable(frame)))
    }

    /// Clears a table that a collapse put out of work, so that it can be one again.
    pub fn clear(&self, table: OldTable) -> Tables {
        let mut tables = Tables::NONE;
        // SAFETY: the table came out of the flush, so no CPU walks through it any more; the tree owned it, and `memory` covers
        // it (promised to `new`).
        unsafe { self.memory.zero(table.0) };
        // SAFETY: as above; it is full of zeros.
        unsafe { tables.push(table.0, &self.memory) };
        tables
    }

    fn cursor(&self, address: VirtAddr) -> Result<Cursor<'_, M>, ResizeError> {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return Err(ResizeError::NotCanonical { address });
        }
        Ok(Cursor::new(self, address))
    }
}

const fn smaller(size: PageSize) -> PageSize {
    match size {
        PageSize::Size4K | PageSize::Size2M => PageSize::Size4K,
        PageSize::Size1G => PageSize::Size2M,
    }
}

/// The first of the leaves that a large one is split into.
const fn smaller_leaf(word: u64, size: PageSize) -> u64 {
    let frame = PhysAddr(word & entry::address_mask(size)).frame();
    let leaf = entry::leaf(frame, smaller(size), entry::protection(word, size));
    leaf & !USED | word & USED
}

/// The leaf that says the same as all of a table. It has A and D, whatever they had: what the CPU sets in them from here on is
/// not seen any more.
fn larger_leaf(table: &Table, start: VirtAddr, size: PageSize) -> Result<u64, ResizeError> {
    let small = smaller(size);
    let first = table[0].load(Relaxed);
    // A table of leaves that go on where the first one ends: nothing in it differs from that but A and D.
    let is_leaf = matches!(Entry::of(first, Some(small)), Entry::Leaf(..));
    if !is_leaf || entries::difference_from(table, first, small.bytes()) & !USED != 0 {
        return Err(what_differs(table, start, small));
    }
    let frame = PhysAddr(first & entry::address_mask(small));
    if !frame.is_aligned(size.bytes()) {
        return Err(ResizeError::NoContinuation { address: start });
    }
    let protection = entry::protection(first, small);
    Ok(entry::leaf(frame.frame(), size, protection))
}

/// Why the entries of a table do not say what one leaf could.
#[cold]
#[inline(never)]
fn what_differs(table: &Table, start: VirtAddr, small: PageSize) -> ResizeError {
    let first = table[0].load(Relaxed);
    let wrong = table.iter().enumerate().find_map(|(at, entry)| {
        let word = entry.load(Relaxed);
        let address = VirtAddr(start.0.wrapping_add(at as u64 * small.bytes()));
        match Entry::of(word, Some(small)) {
            Entry::Absent => Some(ResizeError::NotMapped { address }),
            Entry::Leaf(..) if word | USED == (first | USED) + at as u64 * small.bytes() => None,
            _ => Some(ResizeError::NoContinuation { address }),
        }
    });
    wrong.unwrap_or(ResizeError::NoContinuation { address: start })
}
