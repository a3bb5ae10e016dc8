//! Counting the tables of a tree by walking it: what a count that is kept elsewhere has to agree with.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

use crate::mm::address::Pfn;
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::Entry;
use crate::mm::page_table::format::levels::leaf_size;
use crate::mm::page_table::{Levels, PageTable};

/// How many tables of each level a tree has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TableCount {
    /// Those of level 1 (PTs) first, the root last.
    by_level: [u64; Levels::MAX],
}

impl TableCount {
    /// Tables of all levels, the root among them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_level.iter().sum()
    }

    /// Tables of one level, from 1, a PT, up to the root's.
    #[must_use]
    pub fn of_level(&self, level: usize) -> u64 {
        let index = level.checked_sub(1);
        index
            .and_then(|index| self.by_level.get(index))
            .map_or(0, |&count| count)
    }
}

impl fmt::Display for TableCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pt, pd, pdpt, ..] = self.by_level;
        write!(f, "{pt} PTs, {pd} PDs, {pdpt} PDPTs")
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// Counts every table that the root leads to, and the root.
    #[must_use]
    pub fn count_tables(&self) -> TableCount {
        let mut count = TableCount::default();
        self.count_from(self.root, self.levels as usize, &mut count);
        count
    }

    fn count_from(&self, frame: Pfn, level: usize, count: &mut TableCount) {
        count.by_level[level - 1] += 1;
        if level == 1 {
            return;
        }
        for entry in self.table(frame) {
            let entry = Entry::of(entry.load(Relaxed), leaf_size(level as u32));
            if let Entry::Table(below) = entry {
                self.count_from(below, level - 1, count);
            }
        }
    }
}
