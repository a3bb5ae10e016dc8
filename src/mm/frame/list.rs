//! Bulk allocation, and lists of blocks chained through the descriptors of the blocks they own.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::descriptor::{ALLOCATED, Descriptor, owned_word};
use super::{Block, BlockList, BulkError, FrameAllocator, FreeError, Gfp};
use crate::mm::address::{Order, Pfn};

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Allocates `frames` frames in blocks of at most the order `largest`, as large as they can be had: bigger blocks are cut
    /// to that order, smaller ones fill up when there are no more. The list is in the order of allocation, largest first.
    ///
    /// With `largest` 0 every block is a single frame, for owners that free their frames one by one.
    ///
    /// # Errors
    ///
    /// There are not enough frames; nothing has changed.
    #[doc(alias = "alloc_pages_bulk")]
    #[inline]
    pub fn alloc_bulk(
        &mut self,
        gfp: Gfp,
        frames: u64,
        largest: Order,
    ) -> Result<BlockList, BulkError> {
        if frames == 1
            && let Some(block) = self.try_alloc_pages(gfp, Order::ZERO)
        {
            let mut list = BlockList::EMPTY;
            self.push_new(&mut list, block);
            return Ok(list);
        }
        self.alloc_bulk_slowly(gfp, frames, largest)
    }

    /// [`alloc_bulk`](Self::alloc_bulk) without the fast path, which is for a single frame.
    #[inline(never)]
    fn alloc_bulk_slowly(
        &mut self,
        gfp: Gfp,
        frames: u64,
        largest: Order,
    ) -> Result<BlockList, BulkError> {
        let mut list = BlockList::EMPTY;
        // The descriptor of the list's last block.
        let mut tail = None;
        let mut limit = self.largest_order();
        // An ordinary request takes what its first zone has, down to single frames, before it turns to lower zones: their blocks are
        // for those who can use no other. Further zones of the same kind are as good as the first.
        let mut first_zone = !gfp.intersects(Gfp::ZONE_MODIFIERS) && self.more.is_empty();
        while list.frames < frames {
            let missing = frames - list.frames;
            if first_zone && limit == Order::ZERO && missing > 1 {
                tail = self.push_singles(tail, &mut list, missing);
                if list.frames == frames {
                    break;
                }
            }
            let missing = frames - list.frames;
            let order = Order::new(missing.ilog2().min(u32::from(limit.get())) as u8);
            let order = order.unwrap_or(Order::MAX);
            let block = match self.try_alloc_pages(gfp, order) {
                None if first_zone => self.take_from_first_zone(order),
                None => self.alloc_pages_slowly(gfp, order).ok(),
                block => block,
            };
            match block {
                Some(block) if order <= largest => {
                    // Of the order that was asked for.
                    let exponent = u32::from(order.get());
                    tail = self.push_behind(tail, &mut list, block.pfn(), exponent);
                }
                Some(block) => {
                    self.append_pieces(&mut list, block, u32::from(largest.get()));
                    tail = self.descriptor(list.last);
                }
                None => match order.get().checked_sub(1).and_then(Order::new) {
                    Some(smaller) => limit = smaller,
                    None if first_zone => {
                        first_zone = false;
                        limit = self.largest_order();
                    }
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

    /// [`push_new`](Self::push_new) for who has the descriptor of the list's last block, if there is one, and keeps that of the
    /// new one.
    #[inline]
    fn push_behind(
        &self,
        tail: Option<&'m Descriptor>,
        list: &mut BlockList,
        pfn: Pfn,
        order: u32,
    ) -> Option<&'m Descriptor> {
        let descriptor = self.descriptor(pfn)?;
        descriptor.set(owned_word(order, Pfn(0)));
        match tail {
            Some(tail) => link(tail, pfn),
            None => list.first = pfn,
        }
        list.last = pfn;
        list.blocks += 1;
        list.frames += 1 << order;
        Some(descriptor)
    }

    /// Puts single frames of the first zone behind the list, as many as are free above its low mark but no more than `most`. Takes and
    /// returns the descriptor of the list's last block, as [`push_behind`](Self::push_behind).
    fn push_singles(
        &mut self,
        tail: Option<&'m Descriptor>,
        list: &mut BlockList,
        most: u64,
    ) -> Option<&'m Descriptor> {
        let zone = &mut self.zones[0];
        let spare = (zone.lists.above_low - 1).clamp(0, most as i64);
        let Some(chain) = zone.take_singles(0..spare as usize, |_, _| {}) else {
            return tail;
        };
        let first = zone.pfn(chain.first - 1);
        match tail {
            Some(tail) => link(tail, first),
            None => list.first = first,
        }
        list.last = zone.pfn(chain.last - 1);
        list.blocks += chain.frames;
        list.frames += chain.frames;
        zone.lists.table.get(chain.last - 1)
    }

    /// Puts the pieces of `block` that have the smaller `order` at the end of `list`.
    #[inline(never)]
    fn append_pieces(&mut self, list: &mut BlockList, block: Block, order: u32) {
        let pieces = 1u64 << (block.exponent() - order);
        let first = block.pfn();
        let last = first.add((pieces - 1) << order);
        if let Some(descriptors) = self.descriptors(first, 1 << block.exponent()) {
            let mut word = owned_word(order, first.add(1 << order));
            let step = owned_word(0, Pfn(1 << order)) - owned_word(0, Pfn(0));
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
            link(tail, first);
        }
        list.last = last;
    }

    /// Adds a block to the end of a list.
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free), and nothing has changed.
    #[inline]
    pub fn push(&mut self, list: &mut BlockList, block: Block) -> Result<(), FreeError> {
        let order = block.exponent();
        let descriptor = self.descriptor(block.pfn());
        if descriptor.is_none_or(|found| found.word() != ALLOCATED | u64::from(order)) {
            return Err(self.diagnose(block.pfn(), order));
        }
        self.push_new(list, block);
        Ok(())
    }

    /// [`push`](Self::push) of a block that has just been allocated.
    #[inline]
    fn push_new(&mut self, list: &mut BlockList, block: Block) {
        let order = block.exponent();
        if let Some(descriptor) = self.descriptor(block.pfn()) {
            descriptor.set(owned_word(order, Pfn(0)));
        }
        self.join(list, block.pfn(), block.pfn());
        list.blocks += 1;
        list.frames += 1 << order;
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
        let (order, next) = self.on_list(pfn)?;
        let descriptor = self.descriptor(pfn)?;
        list.first = next;
        list.blocks -= 1;
        list.frames -= 1 << order;
        descriptor.set(ALLOCATED | u64::from(order));
        Some(Block::new(pfn, order))
    }

    /// The blocks of a list, first to last, without taking them off.
    pub fn blocks<'a>(
        &'a self,
        list: &BlockList,
    ) -> impl Iterator<Item = (Pfn, Order)> + Clone + use<'a, 'm, B> {
        let (mut next, mut left) = (list.first, list.blocks);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let pfn = next;
            let (order, after) = self.on_list(pfn)?;
            next = after;
            Some((pfn, Order::new(order as u8)?))
        })
    }

    /// Frees the blocks of a list.
    ///
    /// # Errors
    ///
    /// Only if another allocator made the list, or a block on it; what comes behind that block cannot be found.
    #[inline]
    pub fn free_list(&mut self, list: BlockList) -> Result<(), FreeError> {
        if list.frames == 1 && self.zones[0].try_give_only(list.first) {
            return Ok(());
        }
        self.free_list_slowly(list)
    }

    /// [`free_list`](Self::free_list) without the fast path, which is for a single frame.
    #[inline(never)]
    fn free_list_slowly(&mut self, list: BlockList) -> Result<(), FreeError> {
        let (mut first, mut blocks) = (list.first, list.blocks);
        while blocks > 0 {
            let before = blocks;
            for zone in self.zones.iter_mut().chain(&mut *self.more) {
                if zone.spans(first) {
                    (first, blocks) = zone.give_list(first, blocks);
                    break;
                }
            }
            if blocks == before {
                return Err(self.diagnose(first, 0));
            }
        }
        Ok(())
    }

    /// The order of a block on its owner's list, and the first frame of the next block there.
    fn on_list(&self, pfn: Pfn) -> Option<(u32, Pfn)> {
        self.all().find_map(|zone| zone.on_list(zone.index(pfn)))
    }

    /// The live descriptor of a frame.
    fn descriptor(&self, pfn: Pfn) -> Option<&'m Descriptor> {
        self.all()
            .find_map(|zone| zone.lists.table.get(zone.index(pfn)))
    }

    /// The live descriptors of `frames` frames from `pfn` on.
    fn descriptors(&self, pfn: Pfn, frames: usize) -> Option<&'m [Descriptor]> {
        self.all()
            .find_map(|zone| zone.lists.table.run(zone.index(pfn), frames))
    }
}

/// Makes the block at `next` follow an owned block.
#[inline]
pub(super) fn link(block: &Descriptor, next: Pfn) {
    let order = (block.word() & 15) as u32;
    block.set(owned_word(order, next));
}
