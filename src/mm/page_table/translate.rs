//! Reading the tree: what one address is mapped to, and all leaves there are.

use core::sync::atomic::Ordering::Relaxed;

use super::entry::Entry;
use super::levels::{covered, index, leaf_size};
use super::{PageTable, Protection};
use crate::mm::address::{PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::hardware::PhysicalMemory;

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

impl<M: PhysicalMemory> PageTable<M> {
    /// What `address` is mapped to, if it is mapped.
    #[must_use]
    #[inline]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
        match self.entry_in_last_pt(address) {
            Some(entry) => translation(entry.load(Relaxed), PageSize::Size4K, address),
            None => self.translate_by_tables(address),
        }
    }

    /// [`translate`](Self::translate) of any address.
    #[inline(never)]
    fn translate_by_tables(&self, address: VirtAddr) -> Option<Translation> {
        if !address.is_canonical(self.levels.virtual_bits()) {
            return None;
        }
        let mut table = self.table(self.root);
        let mut level = self.levels as u32;
        loop {
            let word = table[index(address, level)].load(Relaxed);
            match Entry::of(word, leaf_size(level)) {
                Entry::Absent => return None,
                Entry::Table(frame) => table = self.table(frame),
                Entry::Leaf(..) => return translation(word, leaf_size(level)?, address),
            }
            level -= 1;
        }
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
            let word = entry.load(Relaxed);
            let offset = base + index as u64 * covered(level);
            if let Entry::Table(frame) = Entry::of(word, leaf_size(level)) {
                self.visit_table(frame, level - 1, offset, visit);
                continue;
            }
            let address = self.levels.sign_extend(offset);
            let leaf = leaf_size(level).and_then(|size| translation(word, size, address));
            if let Some(leaf) = leaf {
                visit(address, leaf);
            }
        }
    }
}

/// What the entry says of an address that it covers, if it is a leaf of this size.
#[inline(always)]
const fn translation(word: u64, size: PageSize, address: VirtAddr) -> Option<Translation> {
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
