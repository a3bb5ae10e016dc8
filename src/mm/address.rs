//! Floor 0: the types that every floor uses: physical and virtual addresses, frame numbers, orders and page sizes.
//!
//! Each is its own type, so that a frame number cannot pass for an address or a count. The page geometry is that of the
//! Intel SDM, volume 3, chapter 5 ("Paging").

use core::fmt;
use core::ops::Range;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page and in a frame.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// 8-byte words in a page, which is also the number of entries in a page table.
pub const WORDS_PER_PAGE: usize = 512;

/// A physical address in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(pub u64);

impl PhysAddr {
    /// The frame that holds this byte.
    #[must_use]
    pub const fn frame(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }

    /// Whether the address is a multiple of `bytes`, which is a power of two.
    #[must_use]
    pub const fn is_aligned(self, bytes: u64) -> bool {
        self.0 & (bytes - 1) == 0
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phys {:#x}", self.0)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A virtual (linear) address in bytes. Any value can be held; [`VirtAddr::is_canonical`] returns whether a CPU accepts it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// Whether bits 63 down to `bits - 1` are all equal; `bits` is 48 with four levels of tables and 57 with five.
    #[must_use]
    pub const fn is_canonical(self, bits: u32) -> bool {
        let shift = 64 - bits;
        (((self.0 << shift) as i64) >> shift) as u64 == self.0
    }

    /// Whether the address is a multiple of `bytes`, which is a power of two.
    #[must_use]
    pub const fn is_aligned(self, bytes: u64) -> bool {
        self.0 & (bytes - 1) == 0
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virt {:#x}", self.0)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A page frame number: a physical address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Pfn(pub u64);

impl Pfn {
    /// Physical address of the frame's first byte.
    #[must_use]
    pub const fn address(self) -> PhysAddr {
        PhysAddr(self.0 << PAGE_SHIFT)
    }

    /// The frame `frames` further up.
    #[must_use]
    pub const fn add(self, frames: u64) -> Pfn {
        Pfn(self.0 + frames)
    }
}

impl fmt::Debug for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {:#x}", self.0)
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A run of frames, end exclusive.
pub type FrameRange = Range<Pfn>;

/// The size of a block as a power of two: a block of order `n` has 2^n frames and starts at a multiple of 2^n.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// Order 0: a single frame.
    pub const ZERO: Order = Order(0);
    /// The largest order there is: blocks of 1,024 frames, 4 MiB.
    pub const MAX: Order = Order(10);

    /// The order `order`, or `None` above [`Order::MAX`].
    #[must_use]
    pub const fn new(order: u8) -> Option<Order> {
        if order <= Order::MAX.0 {
            Some(Order(order))
        } else {
            None
        }
    }

    /// The order of the smallest block that has `frames` frames, or `None` if no block is that large.
    #[must_use]
    pub const fn for_frames(frames: u64) -> Option<Order> {
        match frames {
            0 => Some(Order::ZERO),
            frames => Order::new(frames.next_power_of_two().ilog2() as u8),
        }
    }

    /// The exponent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Frames in a block of this order.
    #[must_use]
    pub const fn frames(self) -> u64 {
        1 << self.0
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}", self.0)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What one leaf entry maps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PageSize {
    /// 4 KiB: an entry of a page table (PT).
    Size4K,
    /// 2 MiB: an entry of a page directory (PD) with PS set.
    Size2M,
    /// 1 GiB: an entry of a page-directory-pointer table (PDPT) with PS set; needs a CPU that has it.
    Size1G,
}

impl PageSize {
    /// Bytes mapped by one leaf.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            PageSize::Size4K => 1 << 12,
            PageSize::Size2M => 1 << 21,
            PageSize::Size1G => 1 << 30,
        }
    }

    /// Frames mapped by one leaf.
    #[must_use]
    pub const fn frames(self) -> u64 {
        self.bytes() >> PAGE_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_addresses_end_at_the_sign_bit() {
        for (address, canonical48, canonical57) in [
            (0, true, true),
            (0x0000_7fff_ffff_ffff, true, true),
            (0x0000_8000_0000_0000, false, true),
            (0xffff_7fff_ffff_ffff, false, true),
            (0xffff_8000_0000_0000, true, true),
            (0x0100_0000_0000_0000, false, false),
            (u64::MAX, true, true),
        ] {
            assert_eq!(
                VirtAddr(address).is_canonical(48),
                canonical48,
                "{address:#x}"
            );
            assert_eq!(
                VirtAddr(address).is_canonical(57),
                canonical57,
                "{address:#x}"
            );
        }
    }

    #[test]
    fn orders_end_at_ten() {
        assert_eq!(Order::new(10), Some(Order::MAX));
        assert_eq!(Order::new(11), None);
        assert_eq!(Order::MAX.frames(), 1024);
    }
}
