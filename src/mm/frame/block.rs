//! Ownership of frames: a block, and a list of blocks that needs no memory of its own.

use crate::mm::address::{FrameRange, Order, Pfn};

/// A block of 2^order frames that its holder owns. Only the allocator makes one; it goes back by value.
///
/// Dropping it leaks the frames (nothing is freed behind the caller's back).
#[must_use = "the frames leak unless the block is freed"]
#[derive(PartialEq, Eq, Debug)]
pub struct Block {
    /// Order in the upper 8 bits, frame number below: the word of a single frame is its number.
    word: u64,
}

/// Where a block's word holds the order.
const ORDER_SHIFT: u32 = 56;

impl Block {
    pub(super) const fn new(pfn: Pfn, order: u32) -> Block {
        Block {
            word: (order as u64) << ORDER_SHIFT | pfn.0,
        }
    }

    /// The first frame.
    #[must_use]
    pub const fn pfn(&self) -> Pfn {
        Pfn(self.word & ((1 << ORDER_SHIFT) - 1))
    }

    /// The order.
    #[must_use]
    pub const fn order(&self) -> Order {
        match Order::new(self.exponent() as u8) {
            Some(order) => order,
            None => Order::MAX,
        }
    }

    #[inline]
    pub(in crate::mm) const fn exponent(&self) -> u32 {
        (self.word >> ORDER_SHIFT) as u32
    }

    /// The frame number of a single frame; beyond any for a larger block.
    #[inline]
    pub(in crate::mm) const fn frame(&self) -> Pfn {
        Pfn(self.word)
    }

    /// Gives up the value but not the frames: the holder of the frame number, such as a page table, owns them now and
    /// frees them with [`free_pages`](super::FrameAllocator::free_pages).
    #[must_use = "the frames leak unless the frame number is kept"]
    pub const fn into_raw(self) -> (Pfn, Order) {
        (self.pfn(), self.order())
    }
}

/// Blocks that their holder owns together, in the order in which they were added. The blocks are chained through their own
/// descriptors: a list of any length is these four words.
///
/// Dropping it leaks the frames.
#[must_use = "the frames leak unless the list is freed"]
#[derive(PartialEq, Eq, Debug)]
pub struct BlockList {
    /// First block; means nothing while `blocks` is 0.
    pub(super) first: Pfn,
    /// Last block; means nothing while `blocks` is 0.
    pub(super) last: Pfn,
    pub(super) blocks: u64,
    pub(super) frames: u64,
}

impl BlockList {
    /// A list of no blocks.
    pub const EMPTY: BlockList = BlockList {
        first: Pfn(0),
        last: Pfn(0),
        blocks: 0,
        frames: 0,
    };

    /// Number of blocks.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Number of frames in all blocks.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The frames, if they are one block.
    #[must_use]
    pub const fn single(&self) -> Option<FrameRange> {
        match self.blocks {
            1 => Some(self.first..self.first.add(self.frames)),
            _ => None,
        }
    }

    /// Whether there are no blocks.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks == 0
    }
}
