//! The CPU's walk, for the host's model of what a CPU caches on the way. Tests only.

use core::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

use crate::mm::address::{Pfn, PhysAddr, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::Entry;
use crate::mm::page_table::format::levels::{index, leaf_size};
use crate::mm::page_table::{PageTable, Translation};

impl<M: PhysicalMemory> PageTable<M> {
    /// The tables below the root that a walk for `address` goes through, each with its level, highest first; and the leaf at its
    /// end. It looks at memory alone, not at what this value remembers.
    pub(in crate::mm) fn walk(&self, address: VirtAddr) -> (Vec<(u32, Pfn)>, Option<Translation>) {
        let (mut frame, mut tables) = (self.root, Vec::new());
        if !address.is_canonical(self.levels.virtual_bits()) {
            return (tables, None);
        }
        for level in (1..=self.levels as u32).rev() {
            let word = self.table(frame)[index(address, level)].load(Relaxed);
            let size = leaf_size(level);
            match (Entry::of(word, size), size) {
                (Entry::Table(next), _) => {
                    frame = next;
                    tables.push((level - 1, frame));
                }
                (Entry::Leaf(first, protection), Some(size)) => {
                    let byte = PhysAddr(first.0 | address.0 & (size.bytes() - 1));
                    return (tables, Some(Translation::new(byte, size, protection)));
                }
                _ => break,
            }
        }
        (tables, None)
    }
}
