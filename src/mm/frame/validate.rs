//! The walk over ground truth, descriptors and lists, that must agree with every counter and every mark.

#![forbid(unsafe_code)]

use core::{error, fmt};

use super::FrameAllocator;
use super::buddy::Buddy;
use super::descriptor::{CHUNK_FRAMES, Descriptor, State};
use super::statistics::ORDERS;
use super::zone::{Zone, ZoneKind};
use crate::mm::address::Pfn;

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
    /// The number of free blocks that the lists hold differs from the number in the descriptors.
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
    /// Recomputes every count from the descriptors and the lists, and compares.
    pub fn validate(&self) -> Result<(), Inconsistency> {
        self.all().try_for_each(Zone::validate)
    }
}

impl<'m, B: Buddy> Zone<'m, B> {
    fn validate(&self) -> Result<(), Inconsistency> {
        let mut listed = [0; ORDERS];
        for order in 0..=B::LARGEST {
            listed[order as usize] = self.validate_list(order)?;
        }
        let mut found = [0; ORDERS];
        let mut free = 0;
        for chunk in (0..self.lists.table.len()).step_by(CHUNK_FRAMES) {
            self.validate_chunk(chunk, &mut found)?;
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

    /// Checks every block and every pair of buddies in the chunk at `chunk`, and counts the free blocks.
    fn validate_chunk(&self, chunk: usize, found: &mut [u64; ORDERS]) -> Result<(), Inconsistency> {
        let mut pairs = Pairs([0; CHUNK_FRAMES / 64]);
        let mut index = chunk;
        while index < chunk + CHUNK_FRAMES {
            let state = self.lists.table.get(index).map(Descriptor::state);
            let order = match state {
                Some(State::Allocated(order) | State::Free(order) | State::Cached(order)) => {
                    u32::from(order)
                }
                _ if self.usable(self.pfn(index)) => {
                    let pfn = self.pfn(index);
                    return Err(Inconsistency::Tiling { pfn });
                }
                _ => {
                    index += 1;
                    continue;
                }
            };
            self.validate_block(index, order)?;
            if let Some(State::Free(_)) = state {
                found[order as usize] += 1;
                if order < B::LARGEST && !pairs.flip(index - chunk, order) {
                    let pfn = self.pfn(index);
                    return Err(Inconsistency::Pair { pfn, order });
                }
            }
            index += 1 << order;
        }
        for order in 0..B::LARGEST {
            for lower in (0..CHUNK_FRAMES).step_by(2 << order) {
                let one_free = pairs.get(lower, order);
                if !B::pair_agrees(self.bits, chunk + lower, order, one_free) {
                    let pfn = self.pfn(chunk + lower);
                    return Err(Inconsistency::Pair { pfn, order });
                }
            }
        }
        Ok(())
    }

    /// Checks that there can be a block of `order` at `index`, that it covers usable frames only, and that no frame inside
    /// says that it is allocated.
    fn validate_block(&self, index: usize, order: u32) -> Result<(), Inconsistency> {
        let frames = 1 << order;
        let at = |index| {
            let pfn = self.pfn(index);
            Inconsistency::Tiling { pfn }
        };
        let block = self.lists.table.run(index, frames).ok_or(at(index))?;
        if order > B::LARGEST || !index.is_multiple_of(frames) {
            return Err(at(index));
        }
        for (inside, descriptor) in block.iter().enumerate().skip(1) {
            if matches!(descriptor.state(), State::Allocated(_)) {
                return Err(at(index + inside));
            }
        }
        let range = self.pfn(index)..self.pfn(index + frames);
        match self.whole_range_is_usable(range) {
            true => Ok(()),
            false => Err(at(index)),
        }
    }
}

/// One bit for each pair of buddies in a chunk: whether exactly one of the two is free.
struct Pairs([u64; CHUNK_FRAMES / 64]);

impl Pairs {
    /// Where the pair of the block at `offset` has its bit: as in a heap, the one of the largest order first.
    fn position(offset: usize, order: u32) -> (usize, u64) {
        let bit = (CHUNK_FRAMES + offset) >> (order + 1);
        (bit / 64, 1 << (bit % 64))
    }

    fn get(&self, offset: usize, order: u32) -> bool {
        let (word, mask) = Self::position(offset, order);
        self.0[word] & mask != 0
    }

    /// Notes that the block at `offset` is free; `false` if its buddy is, too.
    fn flip(&mut self, offset: usize, order: u32) -> bool {
        let (word, mask) = Self::position(offset, order);
        self.0[word] ^= mask;
        self.0[word] & mask != 0
    }
}
