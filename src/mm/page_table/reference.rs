//! The reference table: the tree that all kernel mappings are made in (2.4's `swapper_pg_dir`, the book's section 7.3.2).
//!
//! Other roots have copies of its kernel half. What is mapped below an entry that they copied they see at once, as they share
//! the tables below; an entry that came later they are given when they miss it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{MapError, PageTable, Protection, TableFrames};
use crate::mm::address::{PAGE_SIZE, Pfn, VirtAddr, WORDS_PER_PAGE};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::Entry;
use crate::mm::page_table::format::levels::{Levels, index, leaf_size, shift};

/// A look at the reference table that needs no lock: entries are read one by one, while others may edit them.
#[derive(Clone, Copy, Debug)]
pub struct Reference<M> {
    memory: M,
    root: Pfn,
    levels: Levels,
}

impl<M: PhysicalMemory + Copy> PageTable<M> {
    /// This tree as the reference table of other roots.
    ///
    /// # Safety
    ///
    /// No table leaves the tree while it is in use by way of the value, or of a root that it was copied to.
    pub const unsafe fn reference(&self) -> Reference<M> {
        Reference {
            memory: self.memory,
            root: self.root,
            levels: self.levels,
        }
    }

    /// Makes a table for every entry of the root that covers addresses of the `pages` pages from `start`, so that roots that
    /// are copied from now on never miss one. Returns how many were made.
    ///
    /// # Errors
    ///
    /// The range is no range of pages, or there are not enough frames; then no table was made.
    pub fn preallocate(
        &self,
        start: VirtAddr,
        pages: u64,
        tables: &mut impl TableFrames,
    ) -> Result<u64, MapError> {
        self.levels.check_range(start, pages)?;
        let top = self.levels as u32;
        let first = index(start, top);
        let last = index(VirtAddr(start.0 + (pages * PAGE_SIZE - 1)), top);
        let root = self.table(self.root);
        let absent = || {
            root[first..=last]
                .iter()
                .filter(|entry| entry.load(Relaxed) == 0)
        };
        let missing = absent().count() as u64;
        let out = MapError::OutOfTables {
            address: start,
            tables: missing,
        };
        let mut new = tables.allocate_tables(missing).ok_or(out)?;
        for entry in absent() {
            self.install(entry, &mut new).ok_or(out)?;
        }
        let made = missing - new.count();
        tables.give_back(new);
        Ok(made)
    }
}

impl<M: PhysicalMemory> Reference<M> {
    /// The frame of the root.
    #[must_use]
    pub const fn root(&self) -> Pfn {
        self.root
    }

    /// How many levels there are.
    #[must_use]
    pub const fn levels(&self) -> Levels {
        self.levels
    }

    /// Bytes that one entry of the root covers.
    #[must_use]
    pub const fn entry_bytes(&self) -> u64 {
        1 << shift(self.levels as u32)
    }

    /// Copies the kernel half of the root to another root.
    ///
    /// # Safety
    ///
    /// The other root is the caller's alone, and covered by the same memory.
    pub unsafe fn copy_kernel_half(&self, to: Pfn) {
        const KERNEL_HALF: core::ops::RangeFrom<usize> = WORDS_PER_PAGE / 2..;
        // SAFETY: the caller's promise.
        let to = unsafe { self.memory.words(to) };
        let from = self.table(self.root);
        for (to, from) in to[KERNEL_HALF].iter().zip(&from[KERNEL_HALF]) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }

    /// Gives another root the entry for `address` that it misses. `false`, and nothing changed, if it does not miss it or the
    /// reference table has nothing mapped there: then the access was a bad one.
    ///
    /// # Safety
    ///
    /// The other root was made by [`copy_kernel_half`](Self::copy_kernel_half).
    pub unsafe fn propagate(&self, to: Pfn, address: VirtAddr) -> bool {
        if self.protection(address).is_none() {
            return false;
        }
        let top = index(address, self.levels as u32);
        // SAFETY: the caller's promise.
        let entry = &unsafe { self.memory.words(to) }[top];
        let word = self.table(self.root)[top].load(Relaxed);
        entry.swap(word, Relaxed) != word
    }

    /// Clears another root's entry for `address`.
    ///
    /// # Safety
    ///
    /// As for [`propagate`](Self::propagate).
    pub unsafe fn clear_entry(&self, of: Pfn, address: VirtAddr) {
        // SAFETY: the caller's promise.
        let entry = &unsafe { self.memory.words(of) }[index(address, self.levels as u32)];
        entry.store(0, Relaxed);
    }

    /// Whether the root has an entry for `address`.
    #[must_use]
    pub fn has_entry(&self, address: VirtAddr) -> bool {
        self.table(self.root)[index(address, self.levels as u32)].load(Relaxed) != 0
    }

    fn is_kernel(&self, address: VirtAddr) -> bool {
        address.is_canonical(self.levels.virtual_bits()) && address.0 >> 63 == 1
    }

    /// What the mapping of an address of the kernel half allows, if there is one.
    #[must_use]
    pub fn protection(&self, address: VirtAddr) -> Option<Protection> {
        if !self.is_kernel(address) {
            return None;
        }
        let mut frame = self.root;
        for level in (1..=self.levels as u32).rev() {
            let word = self.table(frame)[index(address, level)].load(Relaxed);
            match Entry::of(word, leaf_size(level)) {
                Entry::Absent => return None,
                Entry::Leaf(_, protection) => return Some(protection),
                Entry::Table(next) => frame = next,
            }
        }
        None
    }

    fn table(&self, frame: Pfn) -> &[AtomicU64; WORDS_PER_PAGE] {
        // SAFETY: the tables of the tree are covered and stay tables (promised to `reference`), shared as atomics.
        unsafe { self.memory.words(frame) }
    }
}
