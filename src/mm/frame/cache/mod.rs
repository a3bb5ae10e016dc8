//! Per-CPU caches of single frames: lists that one CPU takes from and gives to without the allocator's lock.
//!
//! Two generations, as a type parameter. [`HotCold`] is 2.6.0's: a hot list, whose frames may still be in the CPU's cache, and a
//! cold one for callers that do not mind (the printed book, 6.6). [`Batched`] is today's single list with its larger batch
//! and a size that follows demand. Both serve the zone that ordinary requests start at; all other requests, and every larger
//! block, pass by.
//!
//! A cached frame has a descriptor state of its own, so that freeing it once more is found out as any double free. To the
//! zone's counters it is allocated; whoever needs blocks whole again calls [`FrameCache::drain`].

#![forbid(unsafe_code)]

mod rule;

#[cfg(test)]
mod tests;

pub use rule::{Batched, CachePolicy, HotCold, List, Rule};

use super::buddy::Buddy;
use super::descriptor::{ALLOCATED, CACHED, Table};
use super::{AllocError, Block, FrameAllocator, FreeError, Gfp, SharedFrames};
use crate::mm::address::Pfn;

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
        let zone = &allocator.lock().zones[0];
        FrameCache {
            policy: P::new(zone.present, cpus),
            start: zone.pfn(0),
            alive: zone.lists.table,
        }
    }

    /// Frames on the lists.
    pub fn frames(&mut self) -> usize {
        self.policy.lists().map(|list| list.frames.len()).sum()
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
        let list = self.policy.list(gfp);
        if !gfp.intersects(Gfp::ZONE_MODIFIERS)
            && list.frames.len() > list.rule.low
            && let Some(index) = list.frames.pop()
            && let Some(descriptor) = self.alive.get(index as usize)
        {
            descriptor.set(ALLOCATED);
            return Ok(Block::new(self.start.add(u64::from(index)), 0));
        }
        self.refill(allocator, gfp)
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
        let list = self.policy.list(Gfp::empty());
        // Beyond any table for a larger block, and for a frame of another zone.
        let index = block.frame().0.wrapping_sub(self.start.0) as usize;
        if let Some(descriptor) = self.alive.get(index)
            && descriptor.word() == ALLOCATED
            && list.frames.len() < list.rule.high
            && list.frames.try_push(index as u32).is_ok()
        {
            descriptor.set(CACHED);
            return Ok(());
        }
        self.free_slowly(allocator, block)
    }

    /// Gives every frame back to the free lists, where it merges.
    pub fn drain<B: Buddy>(&mut self, allocator: &SharedFrames<'m, B>) {
        let mut allocator = allocator.lock();
        for list in self.policy.lists() {
            list.rule.high = list.first_high;
            give_back(list, list.frames.len(), &mut allocator);
        }
    }

    /// Takes a batch, and serves the request from the list, or past it if the free lists have nothing to spare.
    #[cold]
    #[inline(never)]
    fn refill<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        let mut allocator = allocator.lock();
        if gfp.intersects(Gfp::ZONE_MODIFIERS) {
            return allocator.alloc_page(gfp);
        }
        let list = self.policy.list(gfp);
        let zone = &mut allocator.zones[0];
        let mut taken = 0;
        while taken < list.rule.batch.min(list.frames.remaining_capacity()) {
            if zone.free() <= zone.marks.low + 1 {
                break;
            }
            let Some(index) = zone.take(0) else {
                break;
            };
            if let Some(descriptor) = zone.lists.table.get(index) {
                descriptor.set(CACHED);
            }
            list.frames.push(index as u32);
            taken += 1;
        }
        // The newest frames are taken first: a batch goes below them.
        list.frames.rotate_right(taken);
        list.rule.high = (list.rule.high + taken).min(list.rule.highest);
        self.alive = zone.lists.table;
        match list.frames.pop() {
            Some(index) => {
                if let Some(descriptor) = self.alive.get(index as usize) {
                    descriptor.set(ALLOCATED);
                }
                Ok(zone.block(index as usize, 0))
            }
            None => allocator.alloc_page(gfp),
        }
    }

    /// Frees past the list, or to it after giving a batch back: all of it, if the zone is short of frames.
    #[cold]
    #[inline(never)]
    fn free_slowly<B: Buddy>(
        &mut self,
        allocator: &SharedFrames<'m, B>,
        block: Block,
    ) -> Result<(), FreeError> {
        let mut allocator = allocator.lock();
        let zone = &allocator.zones[0];
        self.alive = zone.lists.table;
        let index = zone.index(block.frame());
        let list = self.policy.list(Gfp::empty());
        if let Some(descriptor) = self.alive.get(index)
            && descriptor.word() == ALLOCATED
        {
            let short = zone.free() <= zone.marks.low;
            if short {
                list.rule.high = list.first_high;
                give_back(list, list.frames.len(), &mut allocator);
            } else if list.frames.len() >= list.rule.high {
                give_back(list, list.rule.batch, &mut allocator);
            }
            if list.frames.try_push(index as u32).is_ok() {
                descriptor.set(CACHED);
                return Ok(());
            }
        }
        allocator.free(block)
    }
}

/// Gives the oldest `count` frames back.
fn give_back<B: Buddy>(list: &mut List, count: usize, allocator: &mut FrameAllocator<'_, B>) {
    let zone = &mut allocator.zones[0];
    for index in list.frames.drain(..count.min(list.frames.len())) {
        let index = index as usize;
        if let Some(descriptor) = zone.lists.table.get(index) {
            descriptor.set(ALLOCATED);
            zone.give(index, 0);
        }
    }
}
