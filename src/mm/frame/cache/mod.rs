//! Per-CPU caches: lists that one CPU takes from and gives to without the zone's lock or its shared words. The zone is any back end
//! ([`supply`]). Single frames have a list by the rule of
//! a generation, and blocks of a few orders have short ones ([`blocks`]).
//!
//! Two generations, as a type parameter. [`HotCold`] is 2.6.0's: a hot list, whose frames may still be in the CPU's cache, and a
//! cold one for callers that do not mind (the printed book, 6.6). [`Batched`] is today's single list with its larger batch
//! and a size that follows demand. Both serve the zone that ordinary requests start at; all other requests pass by.
//!
//! A cached frame has a descriptor state of its own, so that freeing it once more is found out as any double free. Only if two
//! CPUs free the same frame number at the same moment neither knows of the other: looking and marking are two steps, as one
//! would be a locked instruction in each free. A [`Block`], which is freed by value, cannot be freed so.
//!
//! To the zone's counters a cached frame is allocated; a caller that needs whole blocks calls [`FrameCache::drain`].

#![forbid(unsafe_code)]

mod blocks;
mod list;
mod policy;
mod rule;
mod shared;
mod supply;

#[cfg(test)]
mod tests;

pub use policy::{Batched, CachePolicy, HotCold};
pub use rule::Rule;
pub use shared::{CachedZone, Slot};
pub use supply::{Cacheable, Supply};

use self::blocks::Blocks;
use super::descriptor::{ALLOCATED, CACHED, Table};
use super::{AllocError, Block, FreeError, Gfp};
use crate::mm::address::{Order, Pfn};

/// The cache of one CPU, over a zone that all share: one behind a lock or one without.
pub struct FrameCache<'m, P> {
    /// The CPU's number.
    cpu: usize,
    policy: P,
    blocks: Blocks,
    /// The first frame of the zone.
    start: Pfn,
    /// The descriptors of the zone that were alive when the lock was last held here.
    alive: Table<'m>,
}

impl<'m, P: CachePolicy> FrameCache<'m, P> {
    /// An empty cache for the zone that ordinary requests start at, on a machine of `cpus` CPUs.
    #[must_use]
    pub fn new(zone: &impl Cacheable<'m>, cpus: u64) -> Self {
        zone.supply(|supply| Self::over(supply, cpus))
    }

    /// The same for an owner of the allocator, or one who holds its lock.
    #[must_use]
    pub fn over(supply: &impl Supply<'m>, cpus: u64) -> Self {
        FrameCache {
            cpu: 0,
            policy: P::new(supply.present(), cpus),
            blocks: Blocks::new(supply.present(), cpus),
            start: supply.start(),
            alive: supply.alive(),
        }
    }

    /// The cache as that of the CPU with this number, whose reservations in a zone without a lock it then uses.
    #[must_use]
    pub fn of_cpu(self, cpu: usize) -> Self {
        FrameCache { cpu, ..self }
    }

    /// Frames on the lists.
    pub fn frames(&self) -> usize {
        self.policy.frames() + self.blocks.frames()
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
    #[inline]
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

    /// Whether blocks of this order, above 0, have a list.
    #[must_use]
    pub const fn has_list(order: Order) -> bool {
        Blocks::has_list(order)
    }

    /// Takes a block of an order above 0 from its list alone; `None` if that is empty, or there is none.
    #[inline]
    pub fn take_block(&mut self, gfp: Gfp, order: Order) -> Option<Block> {
        if gfp.intersects(Gfp::ZONE_MODIFIERS) {
            return None;
        }
        let index = self.blocks.list(order)?.pop()?;
        let exponent = u32::from(order.get());
        let head = self.alive.get(index as usize)?;
        head.set(ALLOCATED | u64::from(exponent));
        Some(Block::new(self.start.add(u64::from(index)), exponent))
    }

    /// Puts a block of an order above 0 on its list alone. `false`, and nothing changed, if that is full, or there is none, or if
    /// this is no allocated block of the zone.
    #[inline]
    pub fn put_block(&mut self, pfn: Pfn, order: Order) -> bool {
        let index = pfn.0.wrapping_sub(self.start.0) as usize;
        let exponent = u64::from(order.get());
        if let Some(list) = self.blocks.list(order)
            && let Some(head) = self.alive.get(index)
            && head.word() == ALLOCATED | exponent
            && list.push(index as u32)
        {
            head.set(CACHED | exponent);
            return true;
        }
        false
    }

    /// Allocates a block, out of the cache if its order has a list.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_pages`](super::FrameAllocator::alloc_pages), with nothing left in this cache.
    #[inline]
    pub fn alloc_pages(
        &mut self,
        zone: &impl Cacheable<'m>,
        gfp: Gfp,
        order: Order,
    ) -> Result<Block, AllocError> {
        let taken = match order {
            Order::ZERO => self.take(gfp),
            _ => self.take_block(gfp, order),
        };
        match taken {
            Some(block) => Ok(block),
            None => self.alloc_pages_slowly(zone, gfp, order),
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_pages_slowly(
        &mut self,
        zone: &impl Cacheable<'m>,
        gfp: Gfp,
        order: Order,
    ) -> Result<Block, AllocError> {
        zone.supply(|supply| match order {
            Order::ZERO => self.alloc_from(supply, gfp),
            _ => self.alloc_block_from(supply, gfp, order),
        })
    }

    /// Allocates one frame.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`](super::FrameAllocator::alloc_page).
    #[inline(always)]
    pub fn alloc_page(&mut self, zone: &impl Cacheable<'m>, gfp: Gfp) -> Result<Block, AllocError> {
        match self.take(gfp) {
            Some(block) => Ok(block),
            None => self.alloc_slowly(zone, gfp),
        }
    }

    /// Frees a block: one of the cached zone whose order has a list to that, any other to the allocator.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`](super::FrameAllocator::free).
    #[inline(always)]
    pub fn free(&mut self, zone: &impl Cacheable<'m>, block: Block) -> Result<(), FreeError> {
        // For a larger block beyond any frame number.
        match self.put(block.frame()) || self.put_block(block.pfn(), block.order()) {
            true => Ok(()),
            false => self.free_slowly(zone, block.pfn(), block.order()),
        }
    }

    /// Frees the block of 2^order frames at `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`](super::FrameAllocator::free_pages).
    #[inline]
    pub fn free_pages(
        &mut self,
        zone: &impl Cacheable<'m>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        let cached = match order {
            Order::ZERO => self.put(pfn),
            _ => self.put_block(pfn, order),
        };
        match cached {
            true => Ok(()),
            false => self.free_slowly(zone, pfn, order),
        }
    }

    /// Frees the single frame `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`](super::FrameAllocator::free_pages).
    #[inline(always)]
    pub fn free_page(&mut self, zone: &impl Cacheable<'m>, pfn: Pfn) -> Result<(), FreeError> {
        match self.put(pfn) {
            true => Ok(()),
            false => self.free_slowly(zone, pfn, Order::ZERO),
        }
    }

    /// Gives every frame back to the free lists, where it merges.
    pub fn drain(&mut self, zone: &impl Cacheable<'m>) {
        zone.supply(|supply| self.drain_to(supply));
    }

    /// [`drain`](Self::drain) for an owner of the allocator, or one who holds its lock.
    pub fn drain_to(&mut self, supply: &mut impl Supply<'m>) {
        let cpu = self.cpu;
        for list in self.policy.lists() {
            list.empty(|frames| supply.empty(cpu, frames));
        }
        for list in self.blocks.lists() {
            let order = list.order();
            list.empty(|index| supply.empty_block(cpu, index, order));
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_slowly(&mut self, zone: &impl Cacheable<'m>, gfp: Gfp) -> Result<Block, AllocError> {
        zone.supply(|supply| self.alloc_from(supply, gfp))
    }

    /// What [`take`](Self::take) is the fast path of, for an owner of the allocator, or one who holds its lock: takes a batch
    /// first. Serves the request past the list if the free lists have nothing to spare for it.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_page`](super::FrameAllocator::alloc_page).
    #[cold]
    #[inline(never)]
    pub fn alloc_from(
        &mut self,
        supply: &mut impl Supply<'m>,
        gfp: Gfp,
    ) -> Result<Block, AllocError> {
        if gfp.intersects(Gfp::ZONE_MODIFIERS) {
            return supply.alloc(self.cpu, gfp, Order::ZERO);
        }
        let cpu = self.cpu;
        let list = self.policy.list(gfp);
        list.refill(|places| supply.fill(cpu, places));
        let index = list.pop_any();
        self.alive = supply.alive();
        match index.and_then(|index| self.hand_out(index)) {
            Some(block) => Ok(block),
            None => self.alloc_past(supply, gfp, Order::ZERO),
        }
    }

    /// What [`take_block`](Self::take_block) is the fast path of, for an owner of the allocator, or one who holds its lock: takes a
    /// few blocks first.
    ///
    /// # Errors
    ///
    /// As for [`alloc_pages`](Self::alloc_pages).
    #[cold]
    #[inline(never)]
    pub fn alloc_block_from(
        &mut self,
        supply: &mut impl Supply<'m>,
        gfp: Gfp,
        order: Order,
    ) -> Result<Block, AllocError> {
        if !gfp.intersects(Gfp::ZONE_MODIFIERS)
            && let Some(list) = self.blocks.list(order)
        {
            let (exponent, portion) = (list.order(), list.portion());
            supply.fill_blocks(self.cpu, exponent, portion, |index| {
                list.push(index);
            });
            self.alive = supply.alive();
            if let Some(block) = self.take_block(gfp, order) {
                return Ok(block);
            }
        }
        self.alloc_past(supply, gfp, order)
    }

    /// Serves a request past the lists; if that fails, once more with what the lists held.
    fn alloc_past(
        &mut self,
        supply: &mut impl Supply<'m>,
        gfp: Gfp,
        order: Order,
    ) -> Result<Block, AllocError> {
        match supply.alloc(self.cpu, gfp, order) {
            Err(_) if self.frames() > 0 => {
                self.drain_to(supply);
                supply.alloc(self.cpu, gfp, order)
            }
            result => result,
        }
    }

    #[cold]
    #[inline(never)]
    fn free_slowly(
        &mut self,
        zone: &impl Cacheable<'m>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        zone.supply(|supply| self.free_to(supply, pfn, order))
    }

    /// What [`put`](Self::put) is the fast path of, for an owner of the allocator, or one who holds its lock: gives a batch
    /// back first, or all of the list, if the zone is short of frames. What is not for the list goes past it.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`](super::FrameAllocator::free_pages).
    #[cold]
    #[inline(never)]
    pub fn free_to(
        &mut self,
        supply: &mut impl Supply<'m>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        let cpu = self.cpu;
        self.alive = supply.alive();
        let exponent = u64::from(order.get());
        let index = pfn.0.wrapping_sub(self.start.0) as usize;
        let head = self.alive.get(index);
        if head.is_none_or(|head| head.word() != ALLOCATED | exponent) {
            return supply.free(cpu, pfn, order);
        }
        if order != Order::ZERO {
            return self.free_block_to(supply, pfn, order);
        }
        let list = self.policy.list(Gfp::empty());
        if supply.is_short() {
            list.empty(|frames| supply.empty(cpu, frames));
        } else if list.is_full() {
            list.spill(|frames| supply.empty(cpu, frames));
        }
        match self.put(pfn) {
            true => Ok(()),
            false => supply.free(cpu, pfn, order),
        }
    }

    /// [`free_to`](Self::free_to) of a block of an order above 0.
    fn free_block_to(
        &mut self,
        supply: &mut impl Supply<'m>,
        pfn: Pfn,
        order: Order,
    ) -> Result<(), FreeError> {
        let (cpu, short) = (self.cpu, supply.is_short());
        if let Some(list) = self.blocks.list(order) {
            let (order, portion) = (list.order(), list.portion());
            let count = if short { usize::MAX } else { portion };
            list.give_back(count, |index| supply.empty_block(cpu, index, order));
        }
        match !short && self.put_block(pfn, order) {
            true => Ok(()),
            false => supply.free(cpu, pfn, order),
        }
    }
}
