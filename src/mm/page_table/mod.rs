//! Floor 3: page tables of four levels (Intel SDM volume 3, 5.5), edited range by range.
//!
//! A range is walked table by table, not page by page: every operation works on the slice of one table's entries that the
//! range covers, so the walk costs once what it would cost 512 times. An operation first looks at every entry it is going to
//! change, and makes every table it needs, and only then changes any: an error leaves all mappings as they were. A range
//! that one slice covers, the usual case, is walked once.
//!
//! Making a present entry out of an absent one needs no flush, as x86 does not cache absent entries. Every other change yields
//! a [`PendingFlush`]. Tables stay when their last entry goes, as in Linux: the next mapping there finds them.

mod entries;
mod entry;
mod error;
mod mapping;
mod pieces;

#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use entry::{Flags, Protection};
pub use error::{ChangeError, MapError, RangeError};
pub use mapping::Mapping;

use super::address::{PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr, WORDS_PER_PAGE};
use super::hardware::PhysicalMemory;
use super::tlb::PendingFlush;
use entry::Entry;
use pieces::{Piece, Pieces};

/// Levels of tables; a root entry covers 512 GiB.
const LEVELS: u32 = 4;
/// Bits of a virtual address with four levels.
const VIRTUAL_BITS: u32 = 48;

type Table = [AtomicU64; WORDS_PER_PAGE];

/// Where tables come from.
pub trait TableFrames {
    /// A frame full of zeros that belongs to the page table from now on, or `None` if there is none.
    fn allocate_table(&mut self) -> Option<Pfn>;
}

/// For ranges whose tables are there already.
struct NoTables;

impl TableFrames for NoTables {
    fn allocate_table(&mut self) -> Option<Pfn> {
        None
    }
}

/// What an address is mapped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The physical address of the same byte.
    pub address: PhysAddr,
    /// The size of the leaf.
    pub size: PageSize,
    /// What it allows.
    pub protection: Protection,
}

/// A tree of tables and the window through which they are edited.
///
/// The walk down to a PT is remembered, as the CPU does in its paging-structure caches: ranges in the 2 MiB that were edited
/// last need no walk. A PT stays where it is once it is made, so what is remembered stays true.
#[derive(Debug)]
pub struct PageTable<M> {
    memory: M,
    root: Pfn,
    last: LastPt,
}

/// The PT that was edited last.
#[derive(Clone, Copy, Debug)]
struct LastPt {
    /// Address of its first page, divided by the 2 MiB that it maps; a value that no canonical address has if there is none.
    region: u64,
    frame: Pfn,
}

impl LastPt {
    const NONE: LastPt = LastPt {
        region: u64::MAX >> 1,
        frame: Pfn(0),
    };
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The tree whose PML4 lies at `root`.
    ///
    /// # Safety
    ///
    /// The frame at `root`, and every frame that its entries lead to as tables, belong to this value and are covered by
    /// `memory`; so are the frames that a [`TableFrames`] gives it later.
    pub const unsafe fn new(memory: M, root: Pfn) -> Self {
        PageTable {
            memory,
            root,
            last: LastPt::NONE,
        }
    }

    /// The frame of the PML4: what CR3 holds.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.root
    }

    /// Maps the `pages` pages from `start` to the contiguous frames from `frame` on, with the largest leaves up to `largest`
    /// that both are aligned for.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something is mapped in it, or there is no frame for a table. No mapping has changed.
    #[inline]
    pub fn map(
        &mut self,
        start: VirtAddr,
        frame: Pfn,
        pages: u64,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        let small = largest == PageSize::Size4K || pages < PageSize::Size2M.frames();
        if small && let Some(entries) = self.entries_of_one_pt(start, pages) {
            if entries::any_present(entries) {
                return Err(already_mapped(entries, start, PageSize::Size4K));
            }
            entries::fill(
                entries,
                entry::leaf(frame, PageSize::Size4K, protection),
                PAGE_SIZE,
            );
            return Ok(());
        }
        self.map_pieces(start, frame, pages, protection, largest, tables)
    }

    /// [`map`](Self::map) of any range.
    #[inline(never)]
    fn map_pieces(
        &mut self,
        start: VirtAddr,
        frame: Pfn,
        pages: u64,
        protection: Protection,
        largest: PageSize,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        check_range(start, pages)?;
        let pieces = Pieces::new(start, frame, pages, largest);
        for piece in pieces.clone() {
            self.absent_entries(&piece, tables)?;
        }
        for piece in pieces {
            let entries = self.absent_entries(&piece, tables)?;
            let first = entry::leaf(piece.frame, piece.size, protection);
            entries::fill(entries, first, piece.size.bytes());
        }
        self.remember(start);
        Ok(())
    }

    /// Makes the tables for 4 KiB leaves in a range where nothing is mapped.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map). Tables that were made stay.
    pub fn make_tables(
        &mut self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Result<(), MapError> {
        if let Some(entries) = self.entries_of_one_pt(start, pages) {
            return match entries::any_present(entries) {
                true => Err(already_mapped(entries, start, PageSize::Size4K)),
                false => Ok(()),
            };
        }
        check_range(start, pages)?;
        for piece in Pieces::new(start, Pfn(0), pages, PageSize::Size4K) {
            self.absent_entries(&piece, tables)?;
        }
        self.remember(start);
        Ok(())
    }

    /// Maps the `pages` pages from `start` to runs of contiguous frames, (first frame, frames), one behind the other, with
    /// 4 KiB leaves. Runs beyond `pages` are left out.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map); a table that [`make_tables`](Self::make_tables) has not made counts as no frame for it.
    pub fn map_runs(
        &mut self,
        start: VirtAddr,
        pages: u64,
        runs: impl Iterator<Item = (Pfn, u64)>,
        protection: Protection,
    ) -> Result<(), MapError> {
        let mut pieces = Pieces::new(start, Pfn(0), pages, PageSize::Size4K);
        // What is left of the piece that is being filled.
        let mut entries: &[AtomicU64] = &[];
        if let Some(all) = self.entries_of_one_pt(start, pages) {
            if entries::any_present(all) {
                return Err(already_mapped(all, start, PageSize::Size4K));
            }
            entries = all;
            pieces.next();
        } else {
            check_range(start, pages)?;
            for piece in pieces.clone() {
                self.absent_entries(&piece, &mut NoTables)?;
            }
        }
        for (mut frame, mut frames) in runs {
            while frames > 0 {
                if entries.is_empty() {
                    let Some(piece) = pieces.next() else {
                        return Ok(());
                    };
                    entries = self.absent_entries(&piece, &mut NoTables)?;
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
        Ok(())
    }

    /// Takes the mapping of the `pages` pages from `start` away.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, something in it is not mapped, or it cuts a large leaf. Nothing has changed.
    #[inline]
    pub fn unmap(&mut self, start: VirtAddr, pages: u64) -> Result<PendingFlush, ChangeError> {
        self.change(start, pages, |entries, _| entries::clear(entries))
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
        self.change(start, pages, |entries, size| {
            entries::set_flags(entries, entry::leaf(Pfn(0), size, protection));
        })
    }

    /// What `address` is mapped to, if it is mapped.
    #[must_use]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
        let (entry, size) = match self.pt(address) {
            Some(table) => (&table[index(address, 1)], PageSize::Size4K),
            None => self.leaf(address)?,
        };
        let Entry::Leaf(frame, protection) = Entry::of(entry.load(Relaxed), Some(size)) else {
            return None;
        };
        let offset = address.0 & (size.bytes() - 1);
        Some(Translation {
            address: PhysAddr(frame.0 + offset),
            size,
            protection,
        })
    }

    /// Calls `visit` with the address and the translation of every leaf, lowest address first.
    pub fn for_each_leaf(&self, mut visit: impl FnMut(VirtAddr, Translation)) {
        self.visit_table(self.root, LEVELS, 0, &mut visit);
    }

    fn visit_table(
        &self,
        frame: Pfn,
        level: u32,
        base: u64,
        visit: &mut impl FnMut(VirtAddr, Translation),
    ) {
        for (index, entry) in self.table(frame).iter().enumerate() {
            let address = base + ((index as u64) << shift(level));
            match Entry::of(entry.load(Relaxed), leaf_size(level)) {
                Entry::Absent => {}
                Entry::Table(frame) => self.visit_table(frame, level - 1, address, visit),
                Entry::Leaf(frame, protection) => {
                    let size = leaf_size(level).unwrap_or(PageSize::Size1G);
                    // Addresses of the upper half are sign-extended.
                    let unused = 64 - VIRTUAL_BITS;
                    let address = ((address << unused) as i64 >> unused) as u64;
                    visit(
                        VirtAddr(address),
                        Translation {
                            address: frame,
                            size,
                            protection,
                        },
                    );
                }
            }
        }
    }

    /// The entries of one table.
    #[inline(always)]
    fn table(&self, frame: Pfn) -> &Table {
        // SAFETY: every table of the tree belongs to it and is covered by `memory` (promised to `new`), and is only ever
        // accessed as atomics.
        unsafe { self.memory.words(frame) }
    }

    /// The entries of a range that lies in one PT, which is there: what most calls are about. `None` says nothing about the
    /// range, which may be none at all.
    #[inline(always)]
    fn entries_of_one_pt(&self, start: VirtAddr, pages: u64) -> Option<&[AtomicU64]> {
        let entries = self
            .pt(start)?
            .get(index(start, 1)..)?
            .get(..pages as usize)?;
        (start.is_aligned(PAGE_SIZE) && !entries.is_empty()).then_some(entries)
    }

    /// The PT for `address`, if there is one.
    #[inline(always)]
    fn pt(&self, address: VirtAddr) -> Option<&Table> {
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
    fn remember(&mut self, address: VirtAddr) {
        if let Some(frame) = self.walk_to_pt(address) {
            self.last = LastPt {
                region: address.0 >> shift(2),
                frame,
            };
        }
    }

    /// The entries for a piece of a new mapping: all absent, in a table that is made if need be.
    #[inline(always)]
    fn absent_entries(
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
    fn leaf(&self, address: VirtAddr) -> Option<(&AtomicU64, PageSize)> {
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
    fn change(
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
const fn level_of(size: PageSize) -> u32 {
    match size {
        PageSize::Size4K => 1,
        PageSize::Size2M => 2,
        PageSize::Size1G => 3,
    }
}

/// The size of a leaf in a table of this level.
const fn leaf_size(level: u32) -> Option<PageSize> {
    match level {
        1 => Some(PageSize::Size4K),
        2 => Some(PageSize::Size2M),
        3 => Some(PageSize::Size1G),
        _ => None,
    }
}

/// Bits of an address below those that a table of this level is indexed by.
const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

/// The index into a table of this level.
#[inline(always)]
const fn index(address: VirtAddr, level: u32) -> usize {
    (address.0 >> shift(level)) as usize % WORDS_PER_PAGE
}

#[inline(always)]
fn check_range(start: VirtAddr, pages: u64) -> Result<(), RangeError> {
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
fn already_mapped(entries: &[AtomicU64], start: VirtAddr, size: PageSize) -> MapError {
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
