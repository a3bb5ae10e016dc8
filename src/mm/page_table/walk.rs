//! The ways down the tree: to the entries that an operation is about.
//!
//! Most ranges lie in one PT, the one that was edited last; [`PageTable::entries_of_one_pt`] serves those without a walk. All
//! others are walked piece by piece.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::{self, Entry, Flags};
use super::pieces::Piece;
use super::{ChangeError, LastPt, MapError, PageTable, RangeError, Table, TableFrames, entries};
use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::tlb::PendingFlush;

/// Levels of tables; a root entry covers 512 GiB.
pub(super) const LEVELS: u32 = 4;
/// Bits of a virtual address with four levels.
pub(super) const VIRTUAL_BITS: u32 = 48;

impl<M: PhysicalMemory> PageTable<M> {
    /// The entries of one table.
    #[inline(always)]
    pub(super) fn table(&self, frame: Pfn) -> &Table {
        // SAFETY: every table of the tree belongs to it and is covered by `memory` (promised to `new`), and is only ever
        // accessed as atomics.
        unsafe { self.memory.words(frame) }
    }

    /// The entries of a range that lies in one PT, which is there: what most calls are about. `None` says nothing about the
    /// range, which may be none at all.
    #[inline(always)]
    pub(super) fn entries_of_one_pt(&self, start: VirtAddr, pages: u64) -> Option<&[AtomicU64]> {
        let entries = self
            .pt(start)?
            .get(index(start, 1)..)?
            .get(..pages as usize)?;
        (start.is_aligned(PAGE_SIZE) && !entries.is_empty()).then_some(entries)
    }

    /// The PT for `address`, if there is one.
    #[inline(always)]
    pub(super) fn pt(&self, address: VirtAddr) -> Option<&Table> {
        if address.0 >> shift(2) == self.last.region {
            return Some(self.table(self.last.frame));
        }
        self.walk_to_pt(address).map(|frame| self.table(frame))
    }

    #[inline(never)]
    fn walk_to_pt(&self, address: VirtAddr) -> Option<Pfn> {
        if !address.is_canonical(VIRTUAL_BITS) {
            return None;
        }
        (2..=LEVELS).rev().try_fold(self.root, |frame, level| {
            let word = self.table(frame)[index(address, level)].load(Relaxed);
            match Entry::of(word, leaf_size(level)) {
                Entry::Table(frame) => Some(frame),
                Entry::Absent | Entry::Leaf(..) => None,
            }
        })
    }

    /// Remembers the PT for `address`, if there is one.
    pub(super) fn remember(&mut self, address: VirtAddr) {
        if let Some(frame) = self.walk_to_pt(address) {
            self.last = LastPt {
                region: address.0 >> shift(2),
                frame,
            };
        }
    }

    /// The entries for a piece of a new mapping: all absent, in a table that is made if need be.
    #[inline(always)]
    pub(super) fn absent_entries(
        &self,
        piece: &Piece,
        tables: &mut impl TableFrames,
    ) -> Result<&[AtomicU64], MapError> {
        let bottom = level_of(piece.size);
        let mut table = self.table(self.root);
        for level in (bottom + 1..=LEVELS).rev() {
            let entry = &table[index(piece.start, level)];
            let frame = match Entry::of(entry.load(Relaxed), leaf_size(level)) {
                Entry::Table(frame) => frame,
                Entry::Leaf(..) => {
                    return Err(MapError::AlreadyMapped {
                        address: piece.start,
                    });
                }
                Entry::Absent => make_table(entry, tables).ok_or(MapError::OutOfTables {
                    address: piece.start,
                })?,
            };
            table = self.table(frame);
        }
        let first = index(piece.start, bottom);
        let entries = &table[first..][..piece.leaves];
        if entries::any_present(entries) {
            return Err(already_mapped(entries, piece.start, piece.size));
        }
        Ok(entries)
    }

    /// The entry of the leaf that maps `address`, and the leaf's size.
    #[inline(never)]
    pub(super) fn leaf(&self, address: VirtAddr) -> Option<(&AtomicU64, PageSize)> {
        if !address.is_canonical(VIRTUAL_BITS) {
            return None;
        }
        let (table, index, size) = self.leaf_table(address)?;
        Some((&table[index], size))
    }

    /// The table whose entry at the index is the leaf for `address`; a 4 KiB entry may be absent.
    #[inline(always)]
    fn leaf_table(&self, address: VirtAddr) -> Option<(&Table, usize, PageSize)> {
        let mut table = self.table(self.root);
        for level in (2..=LEVELS).rev() {
            let index = index(address, level);
            match Entry::of(table[index].load(Relaxed), leaf_size(level)) {
                Entry::Absent => return None,
                Entry::Table(frame) => table = self.table(frame),
                Entry::Leaf(..) => return Some((table, index, leaf_size(level)?)),
            }
        }
        Some((table, index(address, 1), PageSize::Size4K))
    }

    /// The leaves that map the start of a range, as far as one table has them: all present, none reaching out of the range.
    #[inline(always)]
    fn present_entries(
        &self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<(&[AtomicU64], PageSize), ChangeError> {
        let Some((table, index, size)) = self.leaf_table(start) else {
            return Err(ChangeError::NotMapped { address: start });
        };
        if size != PageSize::Size4K {
            if !start.is_aligned(size.bytes()) || pages < size.frames() {
                return Err(ChangeError::CutsLeaf {
                    address: start,
                    size,
                });
            }
            return Ok((&table[index..=index], size));
        }
        let entries = &table[index..];
        let entries = &entries[..entries.len().min(pages as usize)];
        if !entries::all_present(entries) {
            return Err(not_mapped(entries, start));
        }
        Ok((entries, size))
    }

    /// Applies `edit` to all leaves of a range, slice by slice, once all of them are known to be there.
    #[inline(always)]
    pub(super) fn change(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize),
    ) -> Result<PendingFlush, ChangeError> {
        if let Some(entries) = self.entries_of_one_pt(start, pages) {
            if !entries::all_present(entries) {
                return Err(not_mapped(entries, start));
            }
            edit(entries, PageSize::Size4K);
            return Ok(PendingFlush::new(start, pages, PageSize::Size4K));
        }
        self.change_slices(start, pages, edit)
    }

    /// [`change`](Self::change) of any range.
    #[inline(never)]
    fn change_slices(
        &mut self,
        start: VirtAddr,
        pages: u64,
        edit: impl Fn(&[AtomicU64], PageSize),
    ) -> Result<PendingFlush, ChangeError> {
        check_range(start, pages)?;
        let mut smallest = PageSize::Size1G;
        self.for_each_slice(start, pages, |_, size| smallest = smallest.min(size))?;
        self.for_each_slice(start, pages, edit)?;
        self.remember(start);
        Ok(PendingFlush::new(
            start,
            pages / smallest.frames(),
            smallest,
        ))
    }

    fn for_each_slice(
        &self,
        start: VirtAddr,
        pages: u64,
        mut visit: impl FnMut(&[AtomicU64], PageSize),
    ) -> Result<(), ChangeError> {
        let (mut address, mut left) = (start, pages);
        while left > 0 {
            let (entries, size) = self.present_entries(address, left)?;
            visit(entries, size);
            let done = entries.len() as u64 * size.frames();
            left -= done;
            address.0 = address.0.wrapping_add(done * PAGE_SIZE);
        }
        Ok(())
    }
}

/// The level of the tables whose leaves have this size: 1 is a PT.
pub(super) const fn level_of(size: PageSize) -> u32 {
    match size {
        PageSize::Size4K => 1,
        PageSize::Size2M => 2,
        PageSize::Size1G => 3,
    }
}

/// The size of a leaf in a table of this level.
pub(super) const fn leaf_size(level: u32) -> Option<PageSize> {
    match level {
        1 => Some(PageSize::Size4K),
        2 => Some(PageSize::Size2M),
        3 => Some(PageSize::Size1G),
        _ => None,
    }
}

/// Bits of an address below those that a table of this level is indexed by.
pub(super) const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

/// The index into a table of this level.
#[inline(always)]
pub(super) const fn index(address: VirtAddr, level: u32) -> usize {
    (address.0 >> shift(level)) as usize % WORDS_PER_PAGE
}

#[inline(always)]
pub(super) fn check_range(start: VirtAddr, pages: u64) -> Result<(), RangeError> {
    if !start.is_aligned(PAGE_SIZE) {
        return Err(RangeError::Misaligned { address: start });
    }
    // The last page lies in the same half as the first exactly if bits 63 to 47 are the same sign in both.
    let room = (1 << (VIRTUAL_BITS - 1)) - (start.0 & ((1 << (VIRTUAL_BITS - 1)) - 1));
    if !start.is_canonical(VIRTUAL_BITS) || pages.wrapping_sub(1) >= room / PAGE_SIZE {
        return Err(RangeError::NotCanonical {
            address: start,
            pages,
        });
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn make_table(entry: &AtomicU64, tables: &mut impl TableFrames) -> Option<Pfn> {
    let frame = tables.allocate_table()?;
    entry.store(entry::table(frame), Relaxed);
    Some(frame)
}

#[cold]
#[inline(never)]
pub(super) fn already_mapped(entries: &[AtomicU64], start: VirtAddr, size: PageSize) -> MapError {
    let at = entries
        .iter()
        .position(|entry| entry.load(Relaxed) != 0)
        .unwrap_or(0) as u64;
    MapError::AlreadyMapped {
        address: VirtAddr(start.0 + at * size.bytes()),
    }
}

#[cold]
#[inline(never)]
fn not_mapped(entries: &[AtomicU64], start: VirtAddr) -> ChangeError {
    let absent = |entry: &AtomicU64| entry.load(Relaxed) & Flags::PRESENT.bits() == 0;
    let at = entries.iter().position(absent).unwrap_or(0) as u64;
    ChangeError::NotMapped {
        address: VirtAddr(start.0 + at * PAGE_SIZE),
    }
}
