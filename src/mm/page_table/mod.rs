//! Floor 5: page tables of four or five levels (Intel SDM volume 3, 5.5), edited range by range.
//!
//! ```text
//! format     what an entry is: bits, levels, the entries of one table as a whole
//! walk       how an entry is found: one cursor over a range, from the PD that its owner walked to last
//! owner      the right to edit: a range of addresses has one owner
//! edit       what is done to entries: map, unmap, protect, remap, harvest, split, collapse, release of empty tables
//! tables     frames for tables, on their way in and out; cache keeps some that are full of zeros
//! reference  the tree that other roots follow
//! ```
//!
//! A range is walked table by table, not page by page: every operation works on the entries of one table that the range covers,
//! so the walk costs once what it would cost 512 times. An operation first looks at every entry it is going to change, and has
//! every table that it needs, and only then changes any: an error leaves everything as it was.
//!
//! Making a present entry out of an absent one needs no flush, as x86 does not cache absent entries. Every other change yields
//! a [`PendingFlush`](super::tlb::PendingFlush). Tables stay when their last entry goes, as in Linux: the next mapping there
//! finds them. [`OwnedRange::release_tables`] takes them out; CPUs may know the way to them, so that they wait for a flush, too.

mod cache;
mod edit;
mod error;
mod format;
mod owner;
mod reference;
mod tables;
mod walk;

#[cfg(test)]
mod tests;

use core::sync::atomic::AtomicU64;

pub use cache::TableCache;
pub use edit::fixed::FixedPt;
pub use edit::frames::{Fill, Frames, Runs};
pub use edit::harvest::Usage;
pub use edit::mapping::Mapping;
pub use edit::release::NoOtherRoot;
pub use edit::resize::OldTable;
pub use error::{ChangeError, MapError, NotEmpty, RangeError, ResizeError};
pub use format::entry::{Flags, Protection};
pub use format::levels::Levels;
pub use format::memory_type::MemoryType;
pub use owner::OwnedRange;
pub use reference::Reference;
pub use tables::{NoTables, TableFrames, Tables, TablesError};
pub use walk::count::TableCount;
pub use walk::translate::Translation;

use super::address::{Pfn, WORDS_PER_PAGE};
use super::hardware::PhysicalMemory;

type Table = [AtomicU64; WORDS_PER_PAGE];

/// A tree of tables: to look at. The entries for a range of addresses are edited by its [owner](OwnedRange).
#[derive(Clone, Copy, Debug)]
pub struct PageTable<M> {
    memory: M,
    root: Pfn,
    levels: Levels,
}

impl<M: PhysicalMemory> PageTable<M> {
    /// The tree of `levels` levels whose root lies at `root`.
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
    #[inline]
    fn table(&self, frame: Pfn) -> &Table {
        // SAFETY: every table of the tree belongs to it and is covered by `memory` (promised to `new`), and is only ever
        // accessed as atomics.
        unsafe { self.memory.words(frame) }
    }
}
