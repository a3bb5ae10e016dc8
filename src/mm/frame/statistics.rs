//! Counts of free blocks, fragmentation, and the walk over ground truth that must agree with every count.
//!
//! No counter by order is kept on the hot paths: as in Linux 2.6's `/proc/buddyinfo`, the lists are walked when somebody asks.
//! Memory that has not come to life yet is counted as the blocks it will become.

#![forbid(unsafe_code)]

use core::{error, fmt};

use super::buddy::Buddy;
use super::descriptor::{CHUNK_FRAMES, State};
use super::zone::{Watermarks, Zone, ZoneKind};
use super::{FrameAllocator, HIGH_ZONE};
use crate::mm::address::{FrameRange, Order, Pfn};

/// Orders that a count has room for: 0 to [`Order::MAX`].
const ORDERS: usize = Order::MAX.get() as usize + 1;

/// What one zone holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BuddyInfo {
    /// The zone.
    pub kind: ZoneKind,
    /// Usable frames.
    pub present: u64,
    /// Free frames.
    pub free: u64,
    /// The marks.
    pub marks: Watermarks,
    /// A request found the zone below its low mark, and it has not come above its high mark since: what wakes kswapd.
    pub need_balance: bool,
    /// Free blocks of each order.
    pub blocks: [u64; ORDERS],
}

impl BuddyInfo {
    /// Free blocks that could serve a request of `order`, counted in blocks of that order.
    fn suitable(&self, order: Order) -> u64 {
        let order = usize::from(order.get());
        (order..ORDERS)
            .map(|larger| self.blocks[larger] << (larger - order))
            .sum()
    }

    /// The share of free memory that a request of `order` cannot use, in thousandths: 0 is no fragmentation (Linux's
    /// "unusable free space index"). 1000 if nothing is free.
    #[must_use]
    pub fn unusable_index(&self, order: Order) -> u64 {
        let unusable = self.free - (self.suitable(order) << order.get());
        (unusable * 1000).checked_div(self.free).unwrap_or(1000)
    }

    /// Why a request of `order` would fail, in thousandths: towards 0 for lack of memory, towards 1000 because of
    /// fragmentation (Linux's "external fragmentation index"). `None` if it would not fail for want of a block.
    #[must_use]
    pub fn fragmentation_index(&self, order: Order) -> Option<u64> {
        if self.suitable(order) > 0 {
            return None;
        }
        let blocks: u64 = self.blocks.iter().sum();
        let wanted = 1000 + self.free * 1000 / order.frames();
        Some(1000 - wanted.checked_div(blocks).unwrap_or(1000).min(1000))
    }
}

/// What [`FrameAllocator::validate`] found wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inconsistency {
    /// A block on the list of `order` has another state, order or alignment, or its links do not match its neighbours'.
    List {
        /// First frame of the block.
        pfn: Pfn,
        /// The order of the list.
        order: u32,
    },
    /// The blocks do not tile the zone: a block covers a frame that is not usable, or a usable frame is in no block.
    Tiling {
        /// The frame.
        pfn: Pfn,
    },
    /// Two buddies are both free and were not merged, or the bit of their pair is wrong.
    Pair {
        /// First frame of the lower buddy.
        pfn: Pfn,
        /// Their order.
        order: u32,
    },
    /// The number of free blocks that the lists hold differs from the number that the descriptors tell.
    Blocks {
        /// The zone.
        zone: ZoneKind,
        /// The order.
        order: u32,
        /// On the list.
        listed: u64,
        /// By the descriptors.
        found: u64,
    },
    /// The head of a list calls it empty or its block the only one, and is wrong.
    Head {
        /// The zone.
        zone: ZoneKind,
        /// The order.
        order: u32,
        /// Blocks on the list.
        blocks: u64,
    },
    /// The counter of free frames differs from the walk.
    FreeFrames {
        /// The zone.
        zone: ZoneKind,
        /// The counter.
        counted: u64,
        /// The walk.
        found: u64,
    },
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inconsistency::List { pfn, order } => {
                write!(
                    f,
                    "{pfn:?} does not belong where it is on the list of order {order}"
                )
            }
            Inconsistency::Tiling { pfn } => write!(f, "{pfn:?} is in no block or in a wrong one"),
            Inconsistency::Pair { pfn, order } => {
                write!(
                    f,
                    "the pair of order {order} at {pfn:?} is in a wrong state"
                )
            }
            Inconsistency::Blocks {
                zone,
                order,
                listed,
                found,
            } => write!(
                f,
                "zone {zone}, order {order}: {listed} blocks on the list, {found} by the descriptors"
            ),
            Inconsistency::Head {
                zone,
                order,
                blocks,
            } => write!(
                f,
                "zone {zone}, order {order}: the head of the list does not fit its {blocks} blocks"
            ),
            Inconsistency::FreeFrames {
                zone,
                counted,
                found,
            } => write!(
                f,
                "zone {zone}: {counted} frames counted as free, {found} found"
            ),
        }
    }
}

impl error::Error for Inconsistency {}

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Free frames of all zones.
    #[must_use]
    pub fn free_frames(&self) -> u64 {
        self.zones.iter().map(|zone| zone.free()).sum()
    }

    /// Usable frames of all zones, free or not.
    #[must_use]
    pub fn present_frames(&self) -> u64 {
        self.zones.iter().map(|zone| zone.present).sum()
    }

    /// Counts of each zone, lowest first. Walks the free lists.
    pub fn buddy_info(&self) -> impl Iterator<Item = BuddyInfo> {
        let (direct, high) = self.zones.split_at(HIGH_ZONE);
        let zones = direct.iter().rev().chain(high);
        zones.filter(|zone| zone.present > 0).map(Zone::info)
    }

    /// Recomputes every count from the descriptors and the lists, and compares.
    pub fn validate(&self) -> Result<(), Inconsistency> {
        self.zones.iter().try_for_each(Zone::validate)
    }
}

impl<'m, B: Buddy> Zone<'m, B> {
    fn info(&self) -> BuddyInfo {
        let mut blocks = [0; ORDERS];
        for order in 0..=B::LARGEST {
            blocks[order as usize] = self.lists.blocks(order).count() as u64;
        }
        for range in self.dormant() {
            count_blocks(&mut blocks, B::LARGEST, range);
        }
        BuddyInfo {
            kind: self.kind,
            present: self.present,
            free: self.free(),
            marks: self.marks,
            need_balance: self.need_balance && self.free() <= self.marks.high,
            blocks,
        }
    }

    fn validate(&self) -> Result<(), Inconsistency> {
        let mut listed = [0; ORDERS];
        for order in 0..=B::LARGEST {
            listed[order as usize] = self.validate_list(order)?;
        }
        let mut found = [0; ORDERS];
        let mut free = 0;
        let mut index = 0;
        while index < self.lists.table.len() {
            index += self.validate_block(index, &mut found)?;
        }
        for order in 0..ORDERS {
            free += found[order] << order;
            if listed[order] != found[order] {
                return Err(Inconsistency::Blocks {
                    zone: self.kind,
                    order: order as u32,
                    listed: listed[order],
                    found: found[order],
                });
            }
        }
        for chunk in (0..self.lists.table.len()).step_by(CHUNK_FRAMES) {
            self.validate_pairs(chunk)?;
        }
        free += self
            .dormant()
            .map(|range| range.end.0 - range.start.0)
            .sum::<u64>();
        if free != self.free() {
            return Err(Inconsistency::FreeFrames {
                zone: self.kind,
                counted: self.free(),
                found: free,
            });
        }
        Ok(())
    }

    /// Checks every block on a list and its links; returns their number.
    fn validate_list(&self, order: u32) -> Result<u64, Inconsistency> {
        let mut previous = 0;
        let mut blocks = 0;
        for index in self.lists.blocks(order) {
            let sound = index.is_multiple_of(1 << order)
                && self.lists.table.get(index).is_some_and(|block| {
                    // The list of the largest order is a stack.
                    block.state() == State::Free(order as u8)
                        && (block.previous() == previous || order == B::LARGEST)
                });
            if !sound {
                let pfn = self.pfn(index);
                return Err(Inconsistency::List { pfn, order });
            }
            previous = index + 1;
            blocks += 1;
        }
        if !self.lists.head_agrees(order, blocks) {
            let zone = self.kind;
            return Err(Inconsistency::Head {
                zone,
                order,
                blocks,
            });
        }
        Ok(blocks)
    }

    /// Checks the block or the unusable frame at `index`, counts it if it is free, and returns its frames.
    fn validate_block(
        &self,
        index: usize,
        found: &mut [u64; ORDERS],
    ) -> Result<usize, Inconsistency> {
        let pfn = self.pfn(index);
        let state = self.lists.table.get(index).map(|block| block.state());
        let order = match state {
            Some(State::Allocated(order) | State::Free(order)) => order,
            Some(State::Cached) => 0,
            _ if self.usable(pfn) => return Err(Inconsistency::Tiling { pfn }),
            _ => return Ok(1),
        };
        let frames = 1 << order;
        for inside in index..index + frames {
            let pfn = self.pfn(inside);
            let head = self.lists.table.get(inside).map(|block| block.state());
            let claims = matches!(head, Some(State::Allocated(_))) && inside != index;
            if claims || !self.usable(pfn) {
                return Err(Inconsistency::Tiling { pfn });
            }
        }
        if state == Some(State::Free(order)) {
            found[usize::from(order)] += 1;
        }
        Ok(frames)
    }

    /// Checks every pair of buddies in the chunk at `chunk`.
    fn validate_pairs(&self, chunk: usize) -> Result<(), Inconsistency> {
        for order in 0..B::LARGEST {
            let is_free =
                |index| self.block_around(index) == Some((index, State::Free(order as u8)));
            for lower in (chunk..chunk + CHUNK_FRAMES).step_by(2 << order) {
                let (a, b) = (is_free(lower), is_free(lower + (1 << order)));
                if a && b || !B::pair_agrees(self.bits, lower, order, a != b) {
                    let pfn = self.pfn(lower);
                    return Err(Inconsistency::Pair { pfn, order });
                }
            }
        }
        Ok(())
    }
}

/// Adds the blocks that `range` will become to `blocks`.
fn count_blocks(blocks: &mut [u64; ORDERS], largest: u32, range: FrameRange) {
    let (mut start, end) = (range.start.0, range.end.0);
    while start < end {
        let order = start
            .trailing_zeros()
            .min((end - start).ilog2())
            .min(largest);
        // All largest blocks at once: there are as many as the machine has memory.
        let count = match order == largest {
            true => (end - start) >> largest,
            false => 1,
        };
        blocks[order as usize] += count;
        start += count << order;
    }
}
