//! Per-CPU caches of single frames: lists that one CPU takes from and gives to without the allocator's lock.
//!
//! Two generations, as a type parameter. [`HotCold`] is 2.6.0's: a hot list, whose frames may still be in the CPU's cache, and a
//! cold one for callers that do not mind (the printed book, 6.6). [`Batched`] is today's single list with its larger batch
//! and a size that follows demand. Both serve the zone that ordinary requests start at; all other requests, and every larger
//! block, pass by.
//!
//! A cached frame has a descriptor state of its own, so that freeing it once more is found out as any double free. Only if two
//! CPUs free the same frame number at the same moment neither knows of the other: looking and marking are two steps, as one
//! would be a locked instruction in each free. A [`Block`], which is freed by value, cannot be freed so.
//!
//! To the zone's counters a cached frame is allocated; whoever needs blocks whole again calls [`FrameCache::drain`].

#![forbid(unsafe_code)]

mod list;
mod policy;
mod rule;

#[cfg(test)]
mod tests;

pub use policy::{Batched, CachePolicy, HotCold};
pub use rule::Rule;

use super::buddy::Buddy;
use super::descriptor::{ALLOCATED, CACHED, Table};
use super::{AllocError, Block, FrameAllocator, FreeError, Gfp, SharedFrames};
use crate::mm::address::{Order, Pfn};

/// The cache of one CPU, over an allocator that all share.
pub struct FrameCache<'m, P> {
    policy: P,
    /// The first frame of the zone.
    start: Pfn,
    /// The descriptors of the zone that were alive when the lock was last held here.
    alive: Table<'m>,
}

impl<'m, P: CachePolicy> FrameCache<'m, P> {
    /// An empty cache for the zone that ordinary requests start at, on a machine of `cpus` CPUs.
    #[must_use]
    pub fn new<B: Buddy>(allocator: &SharedFrames<'m, B>, cpus: u64) -> Self {
        Self::over(&allocator.lock(), cpus)
    }

    /// The same for an owner of the allocator, or one who holds its lock.
    #[must_use]
    pub fn over<B: Buddy>(allocator: &FrameAllocator<'m, B>, cpus: u64) -> Self {
        let zone = &allocator.zones[0];
        FrameCache {
            policy: P::new(zone.present, cpus),
            start: zone.pfn(0),
            alive: zone.lists.table,
        }
    }

    /// Frames on the lists.
    pub fn frames(&self) -> usize {
        self.policy.frames()
    }

    /// Takes a frame from the list alone; `None` if it is down to its low mark. The part of
    /// [`alloc_page`](Self::alloc_page) to inline.
    #[inline(always)]
    pub fn take(&mut self, gfp: Gfp) -> Option<Block> {
        if gfp.intersects(Gfp::ZONE_MODIFIERS) {
            return None;
        }
        let index = self.policy.list(gfp).pop()?;
        self.hand_out(index)
    }

    /// The block of a frame that was on a list.
    #[inline(always)]
    fn hand_out(&self, index: u32) -> Option<Block> {
        self.alive.get(index as usize)?.set(ALLOCATED);
        Some(Block::new(self.start.add(u64::from(index)), 0))
    }

    /// Puts a frame on the list alone. The part of [`free_page`](Self::free_page) to inline. `false`, and nothing changed, if
    /// the list is full, or if this is no single, allocated frame of the zone.
    #[inline(always)]
    pub fn put(&mut self, pfn: Pfn) -> bool {
        let index = pfn.0.wrapping_sub(self.start.0) as usize;
        if let Some(descriptor) = self.alive.get(index)
            && descriptor.word() == ALLOCATED
            && self.policy.list(Gfp::empty()).push(index as u32)
        {
            descriptor.set(CACHED);
            return true;
        }
        false
    }

    /// Allocates one frame.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`].
    #[inline(always)]
    pub fn alloc_page<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        match self.take(gfp) {
            Some(block) => Ok(block),
            None => self.alloc_slowly(allocator, gfp),
        }
    }

    /// Frees a block: a single frame of the cached zone to the hot list, any other to the allocator.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`].
    #[inline(always)]
    pub fn free<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        block: Block,
    ) -> Result<(), FreeError> {
        // For a larger block beyond any frame number.
        match self.put(block.frame()) {
            true => Ok(()),
            false => self.free_slowly(allocator, block.pfn(), block.order()),
        }
    }

    /// Frees the single frame `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`].
    #[inline(always)]
    pub fn free_page<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        pfn: Pfn,
    ) -> Result<(), FreeError> {
        match self.put(pfn) {
            true => Ok(()),
            false => self.free_slowly(allocator, pfn, Order::ZERO),
        }
    }

    /// Gives every frame back to the free lists, where it merges.
    pub fn drain<B: Buddy>(&mut self, allocator: &SharedFrames<'m, B>) {
        self.drain_to(&mut allocator.lock());
    }

    /// [`drain`](Self::drain) for an owner of the allocator, or one who holds its lock.
    pub fn drain_to<B: Buddy>(&mut self, allocator: &mut FrameAllocator<'m, B>) {
        for list in self.policy.lists() {
            list.empty(|frames| allocator.zones[0].give_cached(frames));
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_slowly<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        self.alloc_from(&mut allocator.lock(), gfp)
    }

    /// What [`take`](Self::take) is the fast path of, for an owner of the allocator, or one who holds its lock: takes a batch
    /// first. Serves the request past the list if the free lists have nothing to spare for it.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`].
    #[cold]
    #[inline(never)]
    pub fn alloc_from<B: Buddy>(
        &mut self,
        allocator: &mut FrameAllocator<'m, B>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        if gfp.intersects(Gfp::ZONE_MODIFIERS) {
            return allocator.alloc_page(gfp);
        }
        let list = self.policy.list(gfp);
        let zone = &mut allocator.zones[0];
        list.refill(|most| {
            let spare = zone.free().checked_sub(zone.marks.low + 1)?;
            let run = zone.take_run(spare.min(most as u64))?;
            for descriptor in zone.lists.table.run(run.start, run.len())? {
                descriptor.set(CACHED);
            }
            Some(run.start as u32..run.end as u32)
        });
        let index = list.pop_any();
        self.alive = zone.lists.table;
        match index.and_then(|index| self.hand_out(index)) {
            Some(block) => Ok(block),
            None => allocator.alloc_page(gfp),
        }
    }

    #[cold]
    #[inline(never)]
    fn free_slowly<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        self.free_to(&mut allocator.lock(), pfn, order)
    }

    /// What [`put`](Self::put) is the fast path of, for an owner of the allocator, or one who holds its lock: gives a batch
    /// back first, or all of the list, if the zone is short of frames. What is not for the list goes past it.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`].
    #[cold]
    #[inline(never)]
    pub fn free_to<B: Buddy>(
        &mut self,
        allocator: &mut FrameAllocator<'m, B>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        let zone = &allocator.zones[0];
        self.alive = zone.lists.table;
        let descriptor = self.alive.get(zone.index(pfn));
        let single = descriptor.is_some_and(|frame| frame.word() == ALLOCATED);
        if !single || order != Order::ZERO {
            return allocator.free_pages(pfn, order);
        }
        let short = zone.free() <= zone.marks.low;
        let list = self.policy.list(Gfp::empty());
        if short {
            list.empty(|frames| allocator.zones[0].give_cached(frames));
        } else if list.is_full() {
            list.spill(|frames| allocator.zones[0].give_cached(frames));
        }
        match self.put(pfn) {
            true => Ok(()),
            false => allocator.free_pages(pfn, order),
        }
    }
}
