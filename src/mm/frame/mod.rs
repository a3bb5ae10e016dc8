//! Physical page allocation: zones of frames, a buddy system in each, and what callers hold of it.
//!
//! ```text
//! boot           early, permanent allocations out of the memory map's ranges; hands the rest over
//! FrameAllocator zonelists, watermarks, requests          (this file)
//!   zone         one zone: its lists, counters, marks; memory comes to life chunk by chunk
//!     buddy      split and merge: state in the descriptor (today's), or a bit for each pair (the book's)
//!       descriptor  one word for each frame
//! block          what callers own: a block, a list of blocks
//! statistics     free blocks by order, fragmentation; the walk that must agree with every counter
//! ```
//!
//! The rules are those of Linux 2.4 as Gorman's "Understanding the Linux Virtual Memory Manager" tells them (chapters 2
//! and 6), with the later ones beside them where they differ. All state is reached through `&mut`: whoever shares an allocator
//! between CPUs wraps it in a lock with interrupts off.
//!
//! A bad free (double, wrong order, foreign, reserved, misaligned) is always an error and never changes anything. Finding it
//! out costs one compare, as the descriptor of an allocated block is a constant.

mod block;
mod boot;
mod buddy;
mod descriptor;
mod error;
mod gfp;
mod statistics;
mod zone;

#[cfg(test)]
mod tests;

pub use block::{Block, BlockList};
pub use boot::{BootAllocator, BootError};
pub use buddy::{Buddy, InDescriptor, PairBitmap};
pub use descriptor::Descriptor;
pub use error::{AllocError, BulkError, FreeError, NewError};
pub use gfp::Gfp;
pub use statistics::{BuddyInfo, Inconsistency};
pub use zone::{CLASSIC, WIDE, Watermarks, ZoneEnds, ZoneKind};

use super::address::{FrameRange, Order, Pfn};
use super::hardware::PhysicalMemory;
use buddy::Bits;
use descriptor::{ALLOCATED, CHUNK_FRAMES, MAX_SPAN, State, Table, owned_next, owned_word};
use zone::Zone;

/// Most zones of a machine.
const MAX_ZONES: usize = 3;
/// Zones and one more, always empty, which ends every zonelist.
const SLOTS: usize = MAX_ZONES + 1;

/// The order of a 2 MiB page.
const HUGE: u32 = 9;

/// The memory that an allocator keeps its books in.
#[derive(Debug)]
pub struct Metadata<'m> {
    /// Descriptors; their content does not matter.
    pub descriptors: &'m mut [Descriptor],
    /// Words for the buddy back end; their content does not matter.
    pub words: &'m mut [u64],
}

/// How much [`Metadata`] it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetadataSize {
    /// Number of descriptors, 8 bytes each.
    pub descriptors: usize,
    /// Number of 64-bit words for the buddy back end.
    pub words: usize,
}

/// The allocator of physical frames. `B` is how buddies are told apart.
pub struct FrameAllocator<'m, B = InDescriptor> {
    /// The zones that have memory, highest first, then empty ones.
    zones: [Zone<'m, B>; SLOTS],
    /// For each value of the zone modifiers the zone to try first; the zonelist goes on to the end of `zones`.
    first_zones: [u8; Gfp::ZONE_MODIFIERS],
    clipped: u64,
}

/// Where each zone with memory lies, lowest first. An `Err` if the ranges are not sorted or the ends not aligned.
fn spans<'a>(
    ranges: &'a [FrameRange],
    zones: &'a ZoneEnds,
) -> Result<impl Iterator<Item = (ZoneKind, FrameRange)> + 'a, NewError> {
    if zones.len() > MAX_ZONES {
        return Err(NewError::TooManyZones { zones: zones.len() });
    }
    let mut end = Pfn(0);
    for (range, next) in ranges.iter().enumerate() {
        if next.start < end || next.end < next.start {
            return Err(NewError::Unsorted { range });
        }
        end = next.end;
    }
    let mut start = Pfn(0);
    for &(_, end) in zones {
        if end <= start || !start.0.is_multiple_of(CHUNK_FRAMES as u64) {
            return Err(NewError::ZoneEnd { end });
        }
        start = end;
    }
    let mut start = Pfn(0);
    Ok(zones.iter().filter_map(move |&(kind, end)| {
        let mut span = zone::span(ranges, start..end)?;
        span.end = span.end.min(span.start.add(MAX_SPAN));
        start = end;
        Some((kind, span))
    }))
}

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// The metadata that an allocator over `ranges` needs: 8 bytes a frame from the first usable frame of each zone to the
    /// last, and what the back end adds.
    pub fn metadata_size(
        ranges: &[FrameRange],
        zones: &ZoneEnds,
    ) -> Result<MetadataSize, NewError> {
        let chunks: usize = spans(ranges, zones)?
            .map(|(_, span)| zone::chunks_for(&span))
            .sum();
        Ok(MetadataSize {
            descriptors: chunks * CHUNK_FRAMES,
            words: chunks * B::WORDS_PER_CHUNK,
        })
    }

    /// An allocator that owns the frames of `ranges`, which are sorted and disjoint, in the given zones.
    ///
    /// With less metadata than [`metadata_size`](Self::metadata_size) says, or more frames than a zone can have (2 TiB of
    /// addresses), the upper frames are left out: [`clipped`](Self::clipped) says how many.
    pub fn new(
        ranges: &'m [FrameRange],
        zones: &ZoneEnds,
        metadata: Metadata<'m>,
    ) -> Result<Self, NewError> {
        let mut allocator = FrameAllocator {
            zones: core::array::from_fn(|_| Zone::empty()),
            first_zones: [MAX_ZONES as u8; Gfp::ZONE_MODIFIERS],
            clipped: 0,
        };
        let Metadata {
            mut descriptors,
            mut words,
        } = metadata;
        for (kind, mut span) in spans(ranges, zones)? {
            let mut chunks = zone::chunks_for(&span).min(descriptors.len() / CHUNK_FRAMES);
            if let Some(limit) = words.len().checked_div(B::WORDS_PER_CHUNK) {
                chunks = chunks.min(limit);
            }
            span.end = span.end.min(span.start.add((chunks * CHUNK_FRAMES) as u64));
            let (of_zone, rest) = descriptors.split_at_mut(chunks * CHUNK_FRAMES);
            descriptors = rest;
            let (words_of_zone, rest) = words.split_at_mut(chunks * B::WORDS_PER_CHUNK);
            words = rest;
            let (table, bits) = (Table::new(of_zone), Bits::new(words_of_zone));
            // Insert below the zones that are there: highest first.
            allocator.zones.rotate_right(1);
            allocator.zones[0] = Zone::new(kind, span, ranges, table, bits);
        }
        let frames: u64 = ranges.iter().map(|range| range.end.0 - range.start.0).sum();
        allocator.clipped = frames - allocator.present_frames();
        for modifiers in 0..Gfp::ZONE_MODIFIERS {
            let gfp = Gfp::from_bits_retain(modifiers as u32);
            let highest = if gfp.contains(Gfp::DMA) {
                ZoneKind::Dma
            } else if gfp.contains(Gfp::DMA32) {
                // The book's machine has no such zone, but all of its NORMAL lies below 4 GiB.
                match zones.iter().any(|&(kind, _)| kind == ZoneKind::Dma32) {
                    true => ZoneKind::Dma32,
                    false => ZoneKind::Normal,
                }
            } else if gfp.contains(Gfp::HIGHMEM) {
                ZoneKind::HighMem
            } else {
                ZoneKind::Normal
            };
            let first = allocator
                .zones
                .iter()
                .position(|zone| zone.kind <= highest && zone.present > 0);
            allocator.first_zones[modifiers] = first.unwrap_or(MAX_ZONES) as u8;
        }
        Ok(allocator)
    }

    /// Usable frames that the allocator could not take on for want of metadata or capacity.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The largest order that the back end has.
    #[must_use]
    pub fn largest_order(&self) -> Order {
        Order::new(B::LARGEST as u8).unwrap_or(Order::MAX)
    }

    /// Allocates a block of 2^order frames, aligned to its size.
    #[inline(always)]
    pub fn alloc_pages(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        let first = self.first_zones[gfp.zone_modifiers()];
        let zone = &mut self.zones[usize::from(first) % SLOTS];
        if zone.lists.above_low > order.frames() as i64
            && let Some(index) = zone.take_alive(u32::from(order.get()))
        {
            return Ok(Block::new(zone.pfn(index), u32::from(order.get())));
        }
        self.alloc_slowly(gfp, order)
    }

    /// Allocates one frame.
    #[inline(always)]
    pub fn alloc_page(&mut self, gfp: Gfp) -> Result<Block, AllocError> {
        self.alloc_pages(gfp, Order::ZERO)
    }

    /// Allocates a block and fills it with zeros.
    ///
    /// # Safety
    ///
    /// The frames that this allocator was given are covered by `memory`, and are nobody else's.
    pub unsafe fn alloc_zeroed(
        &mut self,
        gfp: Gfp,
        order: Order,
        memory: &impl PhysicalMemory,
    ) -> Result<Block, AllocError> {
        let block = self.alloc_pages(gfp, order)?;
        for frame in 0..order.frames() {
            // SAFETY: the block is ours alone until it is returned; by the caller's promise `memory` covers it.
            unsafe { memory.zero(block.pfn().add(frame)) };
        }
        Ok(block)
    }

    /// The zones that a request may use, best first.
    fn zonelist(&mut self, gfp: Gfp) -> &mut [Zone<'m, B>] {
        let first = self.first_zones[gfp.zone_modifiers()];
        &mut self.zones[usize::from(first) % SLOTS..]
    }

    /// The book's three rounds (2.4's `__alloc_pages`): with the low marks, with the minimum (a quarter of it for those who
    /// cannot wait), and, for MEMALLOC, with none. The marks of the zones passed by add up ("incremental minimum").
    #[cold]
    #[inline(never)]
    fn alloc_slowly(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        let exponent = u32::from(order.get());
        if exponent > B::LARGEST {
            let largest = self.largest_order();
            return Err(AllocError::OrderTooLarge { order, largest });
        }
        let low = |marks: &Watermarks| marks.low;
        let min = |marks: &Watermarks| match gfp.contains(Gfp::WAIT) {
            true => marks.min,
            false => marks.min / 4,
        };
        let mut index = self.try_zonelist(gfp, exponent, low);
        index = index.or_else(|| self.try_zonelist(gfp, exponent, min));
        if gfp.contains(Gfp::MEMALLOC) && index.is_none() {
            index = self.zonelist(gfp).iter_mut().find_map(|zone| {
                let index = zone.take(exponent)?;
                Some(zone.pfn(index))
            });
        }
        match index {
            Some(pfn) => Ok(Block::new(pfn, exponent)),
            None => Err(AllocError::OutOfFrames { order }),
        }
    }

    /// One walk over the zonelist with the given mark.
    fn try_zonelist(
        &mut self,
        gfp: Gfp,
        order: u32,
        mark: impl Fn(&Watermarks) -> u64,
    ) -> Option<Pfn> {
        let mut needed = 1 << order;
        self.zonelist(gfp).iter_mut().find_map(|zone| {
            needed += mark(&zone.marks);
            if zone.free() <= needed {
                return None;
            }
            let index = zone.take(order)?;
            Some(zone.pfn(index))
        })
    }

    /// Allocates `frames` frames in blocks of at most the order `largest`, as large as they can be had: bigger blocks are cut
    /// to that order, smaller ones fill up when there are no more. The list is in the order of allocation, largest first.
    ///
    /// With `largest` 0 every block is a single frame, for owners that free their frames one by one.
    pub fn alloc_bulk(
        &mut self,
        gfp: Gfp,
        frames: u64,
        largest: Order,
    ) -> Result<BlockList, BulkError> {
        let mut list = BlockList::EMPTY;
        let mut limit = self.largest_order();
        while list.frames < frames {
            let missing = frames - list.frames;
            let order = Order::new(missing.ilog2().min(u32::from(limit.get())) as u8);
            let order = order.unwrap_or(Order::MAX);
            match self.alloc_pages(gfp, order) {
                Ok(block) => self.append_cut(&mut list, block, largest),
                Err(_) => match order.get().checked_sub(1).and_then(Order::new) {
                    Some(smaller) => limit = smaller,
                    None => {
                        let available = list.frames;
                        // Every block of the list is this allocator's own and allocated: freeing it cannot fail.
                        let _ = self.free_list(list);
                        return Err(BulkError { frames, available });
                    }
                },
            }
        }
        Ok(list)
    }

    /// Puts `block` at the end of `list`, cut into blocks of at most the order `largest`.
    fn append_cut(&mut self, list: &mut BlockList, block: Block, largest: Order) {
        let order = block.exponent().min(u32::from(largest.get()));
        let pieces = 1u64 << (block.exponent() - order);
        let first = block.pfn();
        let last = first.add((pieces - 1) << order);
        if let Some(descriptors) = self.descriptors(first, 1 << block.exponent()) {
            let mut word = owned_word(order, first.0 + (1 << order));
            let step = owned_word(0, 1 << order) - owned_word(0, 0);
            if order == 0 {
                for descriptor in descriptors {
                    descriptor.set(word);
                    word += step;
                }
            } else {
                for descriptor in descriptors.iter().step_by(1 << order) {
                    descriptor.set(word);
                    word += step;
                }
            }
        }
        self.join(list, first, last);
        list.blocks += pieces;
        list.frames += 1 << block.exponent();
    }

    /// Makes the blocks that are chained from `first` to `last` follow the end of `list`.
    fn join(&mut self, list: &mut BlockList, first: Pfn, last: Pfn) {
        if list.is_empty() {
            list.first = first;
        } else if let Some(tail) = self.descriptor(list.last) {
            let order = (tail.word() & 15) as u32;
            tail.set(owned_word(order, first.0));
        }
        list.last = last;
    }

    /// Adds a block to the end of a list.
    pub fn push(&mut self, list: &mut BlockList, block: Block) {
        let order = Order::new(block.exponent() as u8).unwrap_or(Order::MAX);
        self.append_cut(list, block, order);
    }

    /// Moves the blocks of `other` to the end of `list`.
    pub fn append(&mut self, list: &mut BlockList, other: BlockList) {
        if !other.is_empty() {
            self.join(list, other.first, other.last);
            list.blocks += other.blocks;
            list.frames += other.frames;
        }
    }

    /// Takes the first block off a list.
    pub fn pop(&mut self, list: &mut BlockList) -> Option<Block> {
        if list.is_empty() {
            return None;
        }
        let pfn = list.first;
        let descriptor = self.descriptor(pfn)?;
        let order = (descriptor.word() & 15) as u32;
        list.first = Pfn(owned_next(descriptor.word()));
        list.blocks -= 1;
        list.frames -= 1 << order;
        descriptor.set(ALLOCATED | u64::from(order));
        Some(Block::new(pfn, order))
    }

    /// The blocks of a list, first to last, without taking them off.
    pub fn blocks<'a>(
        &'a self,
        list: &BlockList,
    ) -> impl Iterator<Item = (Pfn, Order)> + use<'a, 'm, B> {
        let (mut next, mut left) = (list.first, list.blocks);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let pfn = next;
            let word = self.descriptor(pfn)?.word();
            next = Pfn(owned_next(word));
            Some((pfn, Order::new((word & 15) as u8)?))
        })
    }

    /// Frees a block.
    ///
    /// # Errors
    ///
    /// Only if its frames were freed by number before, or another allocator made it; then nothing changes.
    #[inline(always)]
    pub fn free(&mut self, block: Block) -> Result<(), FreeError> {
        self.free_at(block.pfn(), block.exponent())
    }

    /// Frees the blocks of a list.
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free); the first error is told, and all other blocks are freed.
    pub fn free_list(&mut self, mut list: BlockList) -> Result<(), FreeError> {
        let mut result = Ok(());
        while let Some(block) = self.pop(&mut list) {
            let freed = self.free(block);
            result = result.and(freed);
        }
        result
    }

    /// Frees the block of 2^order frames at `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// If exactly this block is not allocated; then nothing changes.
    #[inline(always)]
    pub fn free_pages(&mut self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.free_at(pfn, u32::from(order.get()))
    }

    #[inline(always)]
    fn free_at(&mut self, pfn: Pfn, order: u32) -> Result<(), FreeError> {
        // Single frames of the highest zone here; all else out of the way.
        let index = self.zones[0].index(pfn);
        if order == 0 && index < self.zones[0].lists.table.len() {
            match self.zones[0].give(index, 0) {
                true => Ok(()),
                false => Err(self.diagnose(pfn, 0)),
            }
        } else if order == HUGE {
            self.free_anywhere(pfn, HUGE)
        } else {
            self.free_out_of_line(pfn, order)
        }
    }

    #[inline(never)]
    fn free_out_of_line(&mut self, pfn: Pfn, order: u32) -> Result<(), FreeError> {
        self.free_anywhere(pfn, order)
    }

    #[inline(always)]
    fn free_anywhere(&mut self, pfn: Pfn, order: u32) -> Result<(), FreeError> {
        for zone in &mut self.zones[..MAX_ZONES] {
            let index = zone.index(pfn);
            if index < zone.lists.table.len() {
                if zone.give(index, order) {
                    return Ok(());
                }
                break;
            }
        }
        Err(self.diagnose(pfn, order))
    }

    /// Says why the block at `pfn` cannot be freed.
    #[cold]
    #[inline(never)]
    fn diagnose(&self, pfn: Pfn, order: u32) -> FreeError {
        let (exponent, order) = (order, Order::new(order as u8).unwrap_or(Order::MAX));
        if exponent > B::LARGEST {
            let largest = self.largest_order();
            return FreeError::OrderTooLarge { order, largest };
        }
        let Some(zone) = self.zones.iter().find(|zone| zone.spans(pfn)) else {
            return FreeError::OutOfRange { pfn };
        };
        if !zone.usable(pfn) {
            return FreeError::Reserved { pfn };
        }
        if !pfn.0.is_multiple_of(order.frames()) {
            return FreeError::Misaligned { pfn, order };
        }
        match zone.block_around(zone.index(pfn)) {
            Some((head, State::Allocated(allocated))) if head == zone.index(pfn) => {
                match Order::new(allocated) {
                    Some(allocated) if allocated != order => FreeError::WrongOrder {
                        pfn,
                        order,
                        allocated,
                    },
                    _ => FreeError::OnList { pfn },
                }
            }
            Some((_, State::Allocated(order))) => FreeError::InsideBlock {
                pfn,
                order: Order::new(order).unwrap_or(Order::MAX),
            },
            _ => FreeError::AlreadyFree { pfn },
        }
    }

    /// The live descriptor of a frame.
    fn descriptor(&self, pfn: Pfn) -> Option<&'m Descriptor> {
        self.zones
            .iter()
            .find_map(|zone| zone.lists.table.get(zone.index(pfn)))
    }

    /// The live descriptors of `frames` frames from `pfn` on.
    fn descriptors(&self, pfn: Pfn, frames: usize) -> Option<&'m [Descriptor]> {
        self.zones
            .iter()
            .find_map(|zone| zone.lists.table.run(zone.index(pfn), frames))
    }

    /// Brings all memory to life at once, so that the lists hold every free block. Costs a write for each frame.
    pub fn bring_to_life(&mut self) {
        for zone in &mut self.zones {
            while zone.grow() {}
        }
    }
}
