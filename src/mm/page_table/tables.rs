//! Frames for tables: where they come from, and chains of them on their way in and out of a tree.

use core::{error, fmt, mem};

use crate::mm::address::{Pfn, PhysAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::PageTable;
use crate::mm::page_table::format::entries;
use crate::mm::page_table::format::entry::{self, Entry, Flags};
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Where tables come from.
pub trait TableFrames {
    /// Takes `count` frames full of zeros, which belong to the page table from now on. `None` if there are not enough; then none is
    /// taken.
    fn allocate_tables(&mut self, count: u64) -> Option<Tables>;

    /// Takes those of them back that were not needed, as another owner had installed some.
    fn give_back(&mut self, tables: Tables);
}

/// Frames to become tables, or that were tables: all zeros but for the first word, which chains them. As a table's entry that
/// word is absent: a CPU that still walks there finds nothing.
///
/// Dropping it leaks the frames. Those that leave a tree come out of the flush,
///
/// ```
/// # use pagemark::mm::{address::VirtAddr, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{OwnedRange, TableCache}, tlb::Tlb};
/// # fn free<M: PhysicalMemory, I: TlbInvalidate>(owned: &mut OwnedRange<M>, cache: &mut TableCache<M>, start: VirtAddr, tlb: &Tlb<I>) {
/// let pending = owned.release_tables(start, 512).unwrap();
/// let _ = cache.put(pending.flush(tlb));
/// # }
/// ```
///
/// and out of nothing else:
///
/// ```compile_fail,E0308
/// # use pagemark::mm::{address::VirtAddr, hardware::{PhysicalMemory, TlbInvalidate}, page_table::{OwnedRange, TableCache}, tlb::Tlb};
/// # fn free<M: PhysicalMemory, I: TlbInvalidate>(owned: &mut OwnedRange<M>, cache: &mut TableCache<M>, start: VirtAddr, tlb: &Tlb<I>) {
/// let pending = owned.release_tables(start, 512).unwrap();
/// let _ = cache.put(pending); // tables are wanted, and they are not out yet
/// # }
/// ```
#[must_use = "the frames leak unless they are given back"]
#[derive(PartialEq, Eq, Debug)]
pub struct Tables {
    first: Option<Pfn>,
    count: u64,
}

/// Set in the first word of a frame that another one follows, so that the frame number may be 0. Bit 0, present, is clear.
const FOLLOWED: u64 = 1 << 1;

impl Tables {
    /// No frames.
    pub const NONE: Tables = Tables {
        first: None,
        count: 0,
    };

    /// Number of frames.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds a frame.
    ///
    /// # Safety
    ///
    /// The frame is full of zeros, nobody else's, and covered by `memory`, as are all others in the chain.
    #[inline]
    pub unsafe fn push(&mut self, frame: Pfn, memory: &impl PhysicalMemory) {
        #[cfg(debug_assertions)]
        {
            // SAFETY: the caller's promise.
            let words = unsafe { memory.words(frame) };
            assert!(
                !entries::any_present(words),
                "{frame:?} still holds an entry"
            );
        }
        if let Some(next) = self.first {
            // SAFETY: the caller's promise.
            let words = unsafe { memory.words(frame) };
            words[0].store(next.address().0 | FOLLOWED, Relaxed);
        }
        self.first = Some(frame);
        self.count += 1;
    }

    /// Takes a frame, full of zeros.
    ///
    /// # Safety
    ///
    /// `memory` is the one that the frames were added with.
    #[inline]
    pub unsafe fn pop(&mut self, memory: &impl PhysicalMemory) -> Option<Pfn> {
        let frame = self.first?;
        self.count -= 1;
        if self.count == 0 {
            self.first = None;
        } else {
            // SAFETY: the chain's frames are covered by `memory` and nobody else's.
            let words = unsafe { memory.words(frame) };
            self.first = Some(PhysAddr(words[0].load(Relaxed)).frame());
            words[0].store(0, Relaxed);
        }
        Some(frame)
    }

    /// Reads every frame, and expects no entry in it.
    ///
    /// # Errors
    ///
    /// A frame with an entry, or a chain that is shorter or longer than its count.
    ///
    /// # Safety
    ///
    /// `memory` is the one that the frames were added with.
    pub unsafe fn validate(&self, memory: &impl PhysicalMemory) -> Result<(), TablesError> {
        let mut next = self.first;
        for found in 0..self.count {
            let Some(frame) = next else {
                let count = self.count;
                return Err(TablesError::Count { count, found });
            };
            // SAFETY: the chain's frames are covered by `memory` and nobody else's.
            let words = unsafe { memory.words(frame) };
            let link = words[0].load(Relaxed);
            let last = found + 1 == self.count;
            if entries::any_present(&words[1..])
                || link & Flags::PRESENT.bits() != 0
                || last && link != 0
            {
                return Err(TablesError::NotZero { frame });
            }
            next = (link & FOLLOWED != 0).then_some(PhysAddr(link).frame());
        }
        Ok(())
    }
}

/// What is wrong with a chain of tables that should be full of zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TablesError {
    /// A frame holds an entry.
    NotZero {
        /// The frame.
        frame: Pfn,
    },
    /// The chain ends before its count.
    Count {
        /// The count.
        count: u64,
        /// Frames in the chain.
        found: u64,
    },
}

impl fmt::Display for TablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TablesError::NotZero { frame } => {
                write!(f, "the free table in frame {:#x} holds an entry", frame.0)
            }
            TablesError::Count { count, found } => {
                write!(f, "{found} of {count} free tables are in the chain")
            }
        }
    }
}

impl error::Error for TablesError {}

/// Tables that were set aside for one mapping, which takes all of them. `Tables::NONE` is for a range whose tables are there.
impl TableFrames for Tables {
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        (count == self.count).then(|| mem::replace(self, Tables::NONE))
    }

    /// All of them were taken before.
    fn give_back(&mut self, tables: Tables) {
        debug_assert_eq!(*self, Tables::NONE, "they are given out together");
        *self = tables;
    }
}

/// For ranges whose tables are there already.
#[derive(Clone, Copy, Debug)]
pub struct NoTables;

impl TableFrames for NoTables {
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        (count == 0).then_some(Tables::NONE)
    }

    fn give_back(&mut self, tables: Tables) {
        debug_assert_eq!(tables, Tables::NONE, "none came from here");
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Takes a frame off the tables that were set aside for an edit.
    pub(super) fn next_table(&self, tables: &mut Tables) -> Option<Pfn> {
        // SAFETY: the frames that the tree is given are covered by its `memory` (promised to `new`).
        unsafe { tables.pop(&self.memory) }
    }

    /// Makes the next of `tables` the one that an absent entry leads to. Where another CPU was first, theirs is returned, and the
    /// table goes back to `tables`: no CPU has walked through it.
    pub(super) fn install(&self, parent: &AtomicU64, tables: &mut Tables) -> Option<Pfn> {
        let table = self.next_table(tables)?;
        match parent.compare_exchange(0, entry::table(table), AcqRel, Acquire) {
            Ok(_) => Some(table),
            Err(there) => {
                // SAFETY: full of zeros, and covered, as the tables that the tree is given are (promised to `new`).
                unsafe { tables.push(table, &self.memory) };
                match Entry::of(there, None) {
                    Entry::Table(frame) => Some(frame),
                    _ => None,
                }
            }
        }
    }
}
