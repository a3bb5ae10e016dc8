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
mod vacant;
mod walk;

#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use entry::{Flags, Protection};
pub use error::{ChangeError, MapError, RangeError};
pub use mapping::Mapping;
pub use vacant::Vacant;

use super::address::{PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr, WORDS_PER_PAGE};
use super::hardware::PhysicalMemory;
use super::tlb::PendingFlush;
use entry::Entry;
use pieces::Pieces;
use walk::{LEVELS, VIRTUAL_BITS, already_mapped, check_range, index, leaf_size, shift};

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
}
