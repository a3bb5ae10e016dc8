//! Reading the tree: what one address is mapped to, and all leaves there are.

use core::fmt;
use core::num::NonZeroU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::mm::address::{PAGE_SHIFT, PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::format::entry::{self, Entry};
use crate::mm::page_table::format::levels::{covered, index, leaf_size};
use crate::mm::page_table::{OwnedRange, PageTable, Protection};

/// What an address is mapped to. It is handed over in two registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the same byte.
    pub address: PhysAddr,
    /// The flags of a 4 KiB leaf, and the size where those have the frame.
    leaf: NonZeroU64,
}

impl Translation {
    /// The translation of a byte to `address` by such a leaf.
    #[inline]
    #[must_use]
    pub fn new(address: PhysAddr, size: PageSize, protection: Protection) -> Self {
        const PRESENT: NonZeroU64 = NonZeroU64::MIN;
        let flags = entry::leaf(Pfn(0), PageSize::Size4K, protection);
        Translation {
            address,
            leaf: PRESENT | flags | (size as u64) << PAGE_SHIFT,
        }
    }

    /// The size of the leaf.
    #[inline]
    #[must_use]
    pub const fn size(&self) -> PageSize {
        match self.leaf.get() >> PAGE_SHIFT & 3 {
            0 => PageSize::Size4K,
            1 => PageSize::Size2M,
            _ => PageSize::Size1G,
        }
    }

    /// What it allows.
    #[inline]
    #[must_use]
    pub const fn protection(&self) -> Protection {
        entry::protection(self.leaf.get(), PageSize::Size4K)
    }
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation")
            .field("address", &self.address)
            .field("size", &self.size())
            .field("protection", &self.protection())
            .finish()
    }
}

impl<M: PhysicalMemory> OwnedRange<M> {
    /// What `address` is mapped to, if it is mapped.
    #[must_use]
    #[inline]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
        match self.word_at_hand(address) {
            Some(word) => translation(word, PageSize::Size4K, address),
            None => self.translate_elsewhere(address),
        }
    }

    /// [`translate`](Self::translate) of an address that is not at hand.
    #[cold]
    #[inline(never)]
    fn translate_elsewhere(&self, address: VirtAddr) -> Option<Translation> {
        self.tree.translate(address)
    }
}

impl<M: PhysicalMemory> PageTable<M> {
    /// What `address` is mapped to, if it is mapped. Who owns it need not walk from the root
    /// ([`OwnedRange::translate`]).
    #[must_use]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
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
#[inline]
fn translation(word: u64, size: PageSize, address: VirtAddr) -> Option<Translation> {
    let Entry::Leaf(frame, protection) = Entry::of(word, Some(size)) else {
        return None;
    };
    let offset = address.0 & (size.bytes() - 1);
    let address = PhysAddr(frame.0 | offset);
    Some(Translation::new(address, size, protection))
}
