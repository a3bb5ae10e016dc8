//! Requests: which zones serve them, down to which watermark, and what happens when none may.
//!
//! The rules are those of 2.4's `__alloc_pages` (chapter 6): a walk over the zonelist with the low marks; a second with the
//! minimum, or a quarter of it for callers that cannot wait; and then reclaim, here by a caller's shrinker. The marks of the
//! zones that a walk passes by add up ("incremental minimum"), so that lower zones are kept for those who need them.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::zone::{Watermarks, Zone};
use super::{AllocError, Block, DIRECT_ZONES, FrameAllocator, Gfp, HIGH_ZONE};
use crate::mm::address::Order;

/// How often a request calls its shrinker before it gives up. (2.4 tries for ever up to [`COSTLY_ORDER`].)
pub const SHRINK_ROUNDS: u32 = 16;

/// The largest order that is worth more than one call of the shrinker: 2.4's limit, too.
pub const COSTLY_ORDER: u8 = 3;

impl<'m, B: Buddy> FrameAllocator<'m, B> {
    /// Allocates a block of 2^order frames, aligned to its size.
    ///
    /// # Errors
    ///
    /// If there is no such order, or no zone that `gfp` allows may give such a block.
    #[inline(always)]
    pub fn alloc_pages(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        match self.try_alloc_pages(gfp, order) {
            Some(block) => Ok(block),
            None => self.alloc_pages_slowly(gfp, order),
        }
    }

    /// The fast path of [`alloc_pages`](Self::alloc_pages), for callers that want it inline and the rest elsewhere: an
    /// ordinary request that the first zone's lists serve in a few steps, without going below its low mark.
    #[inline(always)]
    pub fn try_alloc_pages(&mut self, gfp: Gfp, order: Order) -> Option<Block> {
        let exponent = u32::from(order.get());
        let zone = &mut self.zones[0];
        let left = zone.lists.above_low - (1 << exponent);
        if gfp.intersects(Gfp::ZONE_MODIFIERS) || left <= 0 {
            return None;
        }
        let index = B::try_take(&mut zone.lists, zone.bits, exponent)?;
        zone.lists.above_low = left;
        Some(zone.block(index, exponent))
    }

    /// Allocates one frame.
    ///
    /// # Errors
    ///
    /// As for [`alloc_pages`](Self::alloc_pages).
    #[inline(always)]
    pub fn alloc_page(&mut self, gfp: Gfp) -> Result<Block, AllocError> {
        self.alloc_pages(gfp, Order::ZERO)
    }

    /// Allocates a block; when the marks forbid it and the request may wait, calls `shrink` and tries again.
    ///
    /// `shrink` gets the allocator and the number of frames wanted, frees what it can, and returns how many frames it freed.
    /// It is called until the request is served, it frees nothing, or [`SHRINK_ROUNDS`] calls were made (one call for orders
    /// above [`COSTLY_ORDER`]).
    ///
    /// # Errors
    ///
    /// As for [`alloc_pages`](Self::alloc_pages), after all calls.
    pub fn alloc_pages_shrinking(
        &mut self,
        gfp: Gfp,
        order: Order,
        mut shrink: impl FnMut(&mut Self, u64) -> u64,
    ) -> Result<Block, AllocError> {
        let mut result = self.alloc_pages(gfp, order);
        let rounds = match (gfp.contains(Gfp::WAIT), order.get() <= COSTLY_ORDER) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => SHRINK_ROUNDS,
        };
        for _ in 0..rounds {
            if result.is_ok() || shrink(self, order.frames()) == 0 {
                break;
            }
            result = self.alloc_pages(gfp, order);
        }
        result
    }

    /// The block of an ordinary request, out of what the first zone's lists have, without going below its low mark. Where a block
    /// is as likely to be cut from a larger one as to be at hand this is the fast path. `None` says nothing about the request.
    #[inline(never)]
    pub fn take_block(&mut self, gfp: Gfp, order: Order) -> Option<Block> {
        let exponent = u32::from(order.get());
        let zone = &mut self.zones[0];
        if gfp.intersects(Gfp::ZONE_MODIFIERS)
            || exponent > B::LARGEST
            || zone.lists.above_low <= 1 << exponent
        {
            return None;
        }
        let index = zone.take_alive(exponent)?;
        Some(zone.block(index, exponent))
    }

    /// A block out of the first zone of an ordinary request, without going below its low mark.
    #[cold]
    #[inline(never)]
    pub(super) fn take_from_first_zone(&mut self, order: Order) -> Option<Block> {
        let exponent = u32::from(order.get());
        let zone = &mut self.zones[0];
        if exponent > B::LARGEST || zone.lists.above_low <= 1 << exponent {
            return None;
        }
        let index = zone.take(exponent)?;
        Some(zone.block(index, exponent))
    }

    /// The zones that a request may use, best first.
    fn zonelist(&mut self, gfp: Gfp) -> impl Iterator<Item = &mut Zone<'m, B>> {
        let first = if gfp.contains(Gfp::DMA) {
            self.first_dma
        } else if gfp.contains(Gfp::DMA32) {
            self.first_dma32
        } else {
            0
        };
        let high = gfp & Gfp::ZONE_MODIFIERS == Gfp::HIGHMEM;
        let (direct, high_zone) = self.zones.split_at_mut(HIGH_ZONE);
        let high_zone = high_zone.iter_mut().take(usize::from(high));
        // The others of the first zone's kind come behind it.
        let (first_zone, lower) = direct.split_at_mut(1);
        let all = if first == 0 { usize::MAX } else { 0 };
        let first_kind = first_zone.iter_mut().chain(self.more.iter_mut().rev());
        let lower = &mut lower[first.clamp(1, DIRECT_ZONES) - 1..];
        high_zone.chain(first_kind.take(all)).chain(lower)
    }

    /// [`alloc_pages`](Self::alloc_pages) without the fast path: all rounds of a request, bringing memory to life where the
    /// lists are dry.
    ///
    /// # Errors
    ///
    /// As for [`alloc_pages`](Self::alloc_pages).
    #[cold]
    #[inline(never)]
    pub fn alloc_pages_slowly(&mut self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        let exponent = u32::from(order.get());
        if exponent > B::LARGEST {
            let largest = self.largest_order();
            return Err(AllocError::OrderTooLarge { order, largest });
        }
        // Most who come here only need a longer search of the same lists.
        if let Some(block) = self.take_block(gfp, order) {
            return Ok(block);
        }
        if let Some(block) = self.walk(gfp, exponent, |marks| marks.low) {
            return Ok(block);
        }
        if let Some(zone) = self.zonelist(gfp).next() {
            zone.need_balance = true;
        }
        let block = self.walk(gfp, exponent, |marks| match gfp.contains(Gfp::WAIT) {
            true => marks.min,
            false => marks.min / 4,
        });
        let block = match block {
            None if gfp.contains(Gfp::MEMALLOC) => self.zonelist(gfp).find_map(|zone| {
                let index = zone.take(exponent)?;
                Some(zone.block(index, exponent))
            }),
            block => block,
        };
        block.ok_or(AllocError::OutOfFrames { order })
    }

    /// One walk over the zonelist: the first zone that has more free frames than the block and the marks so far, and a block.
    fn walk(&mut self, gfp: Gfp, order: u32, mark: impl Fn(&Watermarks) -> u64) -> Option<Block> {
        let mut needed = 1 << order;
        self.zonelist(gfp).find_map(|zone| {
            needed += mark(&zone.marks);
            if zone.free() <= needed {
                return None;
            }
            let index = zone.take(order)?;
            Some(zone.block(index, order))
        })
    }
}
