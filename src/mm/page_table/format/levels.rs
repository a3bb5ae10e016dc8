//! The shape of the tree: how many levels, what an entry of each covers, and which ranges of pages there are.
//!
//! Intel SDM volume 3, 5.5: each level takes nine bits of the address, above the twelve of a 4 KiB page.

use crate::mm::address::{PAGE_SIZE, PageSize, VirtAddr, WORDS_PER_PAGE};
use crate::mm::page_table::RangeError;

/// Levels of tables from the root down to a PT. The CPU walks as many as CR4.LA57 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Levels {
    /// The root is a PML4: 48-bit addresses.
    Four = 4,
    /// The root is a PML5: 57-bit addresses.
    Five = 5,
}

impl Levels {
    /// The most that there are.
    pub(in crate::mm::page_table) const MAX: usize = Levels::Five as usize;

    /// Bits of a virtual address; those above repeat the highest of them.
    #[must_use]
    pub const fn virtual_bits(self) -> u32 {
        shift(self as u32 + 1)
    }

    /// Pages that one entry of the root covers: 512 GiB of them with four levels.
    #[must_use]
    pub const fn pages_of_root_entry(self) -> u64 {
        covered(self as u32) / PAGE_SIZE
    }

    /// The canonical address whose lower bits are those of `offset`.
    pub(in crate::mm::page_table) const fn sign_extend(self, offset: u64) -> VirtAddr {
        let unused = 64 - self.virtual_bits();
        VirtAddr((((offset << unused) as i64) >> unused) as u64)
    }

    /// Whether these are pages: aligned, at least one, and all in the half of the address space that they start in.
    pub(in crate::mm::page_table) const fn check_range(
        self,
        start: VirtAddr,
        pages: u64,
    ) -> Result<(), RangeError> {
        if !start.is_aligned(PAGE_SIZE) {
            return Err(RangeError::Misaligned { address: start });
        }
        let bits = self.virtual_bits();
        let half = 1 << (bits - 1);
        let room = half - (start.0 & (half - 1));
        if !start.is_canonical(bits) || pages.wrapping_sub(1) >= room / PAGE_SIZE {
            return Err(RangeError::NotCanonical {
                address: start,
                pages,
            });
        }
        Ok(())
    }
}

/// The size of a leaf in a table of this level; the upper levels have none.
pub(in crate::mm::page_table) const fn leaf_size(level: u32) -> Option<PageSize> {
    match level {
        1 => Some(PageSize::Size4K),
        2 => Some(PageSize::Size2M),
        3 => Some(PageSize::Size1G),
        _ => None,
    }
}

/// Bits of an address below those that a table of this level is indexed by.
pub(in crate::mm::page_table) const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

/// Bytes that one entry of a table of this level covers.
pub(in crate::mm::page_table) const fn covered(level: u32) -> u64 {
    1 << shift(level)
}

/// The index into a table of this level.
#[inline]
pub(in crate::mm::page_table) const fn index(address: VirtAddr, level: u32) -> usize {
    (address.0 >> shift(level)) as usize % WORDS_PER_PAGE
}
