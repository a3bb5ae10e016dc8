//! Floor 3: page tables of four or five levels (Intel SDM volume 3, 5.5), edited range by range.
//!
//! A range is walked table by table, not page by page: every operation works on the entries of one table that the range covers,
//! so the walk costs once what it would cost 512 times. An operation first looks at every entry it is going to change, and has
//! every table that it needs, and only then changes any: an error leaves everything as it was.
//!
//! Making a present entry out of an absent one needs no flush, as x86 does not cache absent entries. Every other change yields
//! a [`PendingFlush`](super::tlb::PendingFlush). Tables stay when their last entry goes, as in Linux: the next mapping there
//! finds them. [`PageTable::release_tables`] takes them out.

mod cache;
mod change;
mod cursor;
mod entries;
mod entry;
mod error;
mod fixed;
mod frames;
mod harvest;
mod levels;
mod mapping;
mod memory_type;
mod pt;
mod reference;
mod release;
mod resize;
mod tables;
mod vacant;

#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use cache::TableCache;
pub use entry::{Flags, Protection};
pub use error::{ChangeError, MapError, RangeError, ResizeError};
pub use fixed::FixedPt;
pub use frames::{Frames, Runs};
pub use harvest::Usage;
pub use levels::Levels;
pub use mapping::Mapping;
pub use memory_type::MemoryType;
pub use reference::Reference;
pub use resize::OldTable;
pub use tables::{NoTables, TableFrames, Tables};
pub use vacant::Vacant;

use super::address::{PAGE_SIZE, PageSize, Pfn, PhysAddr, VirtAddr, WORDS_PER_PAGE};
use super::hardware::PhysicalMemory;
use entry::Entry;
use levels::{index, leaf_size, shift};
use pt::{Live, Pt};

type Table = [AtomicU64; WORDS_PER_PAGE];

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
/// last need no walk. Whatever takes a table out of the tree forgets it.
#[derive(Debug)]
pub struct PageTable<M> {
    memory: M,
    root: Pfn,
    levels: Levels,
    last: LastPt,
}

/// The PT that was edited last.
#[derive(Clone, Copy, Debug)]
struct LastPt {
    /// Address of its first page, divided by the 2 MiB that it maps; a value that no canonical address has if there is none.
    region: u64,
    pt: Pfn,
    /// The PD that leads to it.
    pd: Pfn,
}

impl LastPt {
    const NONE: LastPt = LastPt {
        region: u64::MAX >> 1,
        pt: Pfn(0),
        pd: Pfn(0),
    };
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The tree of so many levels whose root lies at `root`.
    ///
    /// # Safety
    ///
    /// The frame at `root`, and every frame that its entries lead to as tables, belong to this value and are covered by
    /// `memory`; so are the frames that a [`TableFrames`] gives it later. All entries were written by such a value, or are 0.
    pub const unsafe fn new(memory: M, root: Pfn, levels: Levels) -> Self {
        PageTable {
            memory,
            root,
            levels,
            last: LastPt::NONE,
        }
    }

    /// The frame of the root: what CR3 holds.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.root
    }

    /// How many levels there are.
    #[must_use]
    pub const fn levels(&self) -> Levels {
        self.levels
    }

    /// The entries of one table.
    #[inline(always)]
    fn table(&self, frame: Pfn) -> &Table {
        // SAFETY: every table of the tree belongs to it and is covered by `memory` (promised to `new`), and is only ever
        // accessed as atomics.
        unsafe { self.memory.words(frame) }
    }

    /// Whether the PT for `address` is the one that was edited last, or can be found and made that.
    #[inline(always)]
    fn find_pt(&mut self, address: VirtAddr) -> bool {
        address.0 >> shift(2) == self.last.region || self.remember(address)
    }

    /// The entries of a range that lies in the PT that was edited last, as that of `start` does. `None` says nothing about the
    /// range, which may be none at all.
    #[inline(always)]
    fn entries_in_last_pt(&self, start: VirtAddr, pages: u64) -> Option<Pt<'_>> {
        let entries = self
            .table(self.last.pt)
            .get(index(start, 1)..)?
            .get(..pages as usize)?;
        (start.is_aligned(PAGE_SIZE) && !entries.is_empty()).then_some(Pt {
            entries,
            live: Live(&self.table(self.last.pd)[index(start, 2)]),
        })
    }

    /// Remembers the PT for `address`, if there is one.
    #[inline(never)]
    fn remember(&mut self, address: VirtAddr) -> bool {
        let last = self.walk_to_pt(address);
        self.last = last.unwrap_or(self.last);
        last.is_some()
    }

    fn walk_to_pt(&self, address: VirtAddr) -> Option<LastPt> {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return None;
        }
        let mut pd = self.root;
        let mut frame = self.root;
        for level in (2..=self.levels as u32).rev() {
            let word = self.table(frame)[index(address, level)].load(Relaxed);
            let Entry::Table(next) = Entry::of(word, leaf_size(level)) else {
                return None;
            };
            (pd, frame) = (frame, next);
        }
        Some(LastPt {
            region: address.0 >> shift(2),
            pt: frame,
            pd,
        })
    }

    /// What `address` is mapped to, if it is mapped.
    #[must_use]
    #[inline]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
        let (word, size) = if address.0 >> shift(2) == self.last.region {
            let word = self.table(self.last.pt)[index(address, 1)].load(Relaxed);
            (word, PageSize::Size4K)
        } else {
            self.leaf(address)?
        };
        let Entry::Leaf(frame, protection) = Entry::of(word, Some(size)) else {
            return None;
        };
        let offset = address.0 & (size.bytes() - 1);
        Some(Translation {
            address: PhysAddr(frame.0 + offset),
            size,
            protection,
        })
    }

    /// The lowest entry for `address`, and the size of the leaf that it is; a 4 KiB one may be absent.
    #[inline(never)]
    fn leaf(&self, address: VirtAddr) -> Option<(u64, PageSize)> {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return None;
        }
        let mut table = self.table(self.root);
        for level in (2..=self.levels as u32).rev() {
            let word = table[index(address, level)].load(Relaxed);
            match Entry::of(word, leaf_size(level)) {
                Entry::Absent => return None,
                Entry::Table(frame) => table = self.table(frame),
                Entry::Leaf(..) => return Some((word, leaf_size(level)?)),
            }
        }
        Some((table[index(address, 1)].load(Relaxed), PageSize::Size4K))
    }

    /// Calls `visit` with the address and the translation of every leaf, lowest address first.
    pub fn for_each_leaf(&self, mut visit: impl FnMut(VirtAddr, Translation)) {
        self.visit_table(self.root, self.levels as u32, 0, &mut visit);
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
                    let unused = 64 - self.levels.virtual_bits();
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
