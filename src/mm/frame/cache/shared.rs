//! The caches of all CPUs of a zone, each in a slot that any CPU may empty.
//!
//! A slot has a lock. Its own CPU takes it for every operation and meets nobody there, except when a request that the zone cannot
//! serve empties the caches of all CPUs (remote draining, as Linux does since 6.1). The slots of two CPUs share no line of memory.

#![forbid(unsafe_code)]

use super::{CachePolicy, Cacheable, FrameCache, Supply};
use crate::mm::address::{Order, Pfn};
use crate::mm::frame::sync::Mutex;
use crate::mm::frame::{AllocError, Block, FreeError, Gfp};

/// The cache of one CPU, in lines of its own: CPUs fetch lines of 64 bytes in pairs.
#[repr(align(128))]
pub struct Slot<'m, P>(Mutex<FrameCache<'m, P>>);

impl<'m, P: CachePolicy> Slot<'m, P> {
    /// An empty cache over `zone` for the CPU with this number, of `cpus` CPUs.
    #[must_use]
    pub fn new(zone: &impl Cacheable<'m>, cpu: usize, cpus: usize) -> Self {
        Slot(Mutex::new(FrameCache::new(zone, cpus as u64).of_cpu(cpu)))
    }
}

/// A zone and the caches of all of its CPUs.
pub struct CachedZone<'a, 'm, Z, P> {
    zone: &'a Z,
    slots: &'a [Slot<'m, P>],
}

impl<'a, 'm, Z: Cacheable<'m>, P: CachePolicy> CachedZone<'a, 'm, Z, P> {
    /// The zone behind the caches of `slots`, which are for the CPUs from 0 on.
    #[must_use]
    pub fn new(zone: &'a Z, slots: &'a [Slot<'m, P>]) -> Self {
        CachedZone { zone, slots }
    }

    /// Allocates a block on a CPU. If there is none, empties the caches of all CPUs and tries once more.
    ///
    /// # Errors
    ///
    /// As for [`FrameCache::alloc_pages`], with nothing left in any cache.
    #[inline]
    pub fn alloc_pages(&self, cpu: usize, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        let taken = self.alloc_here(cpu, gfp, order);
        match taken {
            Err(AllocError::OutOfFrames { .. }) => self.alloc_after_drain(cpu, gfp, order),
            taken => taken,
        }
    }

    #[inline]
    fn alloc_here(&self, cpu: usize, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        match self.slots.get(cpu) {
            Some(slot) => slot.0.lock().alloc_pages(self.zone, gfp, order),
            None => self.zone.supply(|supply| supply.alloc(cpu, gfp, order)),
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_after_drain(&self, cpu: usize, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        self.drain();
        self.alloc_here(cpu, gfp, order)
    }

    /// Frees the block of 2^order frames at `pfn` on a CPU.
    ///
    /// # Errors
    ///
    /// As for [`FrameCache::free_pages`].
    #[inline]
    pub fn free_pages(&self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        match self.slots.get(cpu) {
            Some(slot) => slot.0.lock().free_pages(self.zone, pfn, order),
            None => self.zone.supply(|supply| supply.free(cpu, pfn, order)),
        }
    }

    /// Gives the frames of every CPU's cache back to the zone, one cache after the other. Returns how many there were.
    pub fn drain(&self) -> usize {
        let drain = |slot: &Slot<'m, P>| {
            let mut cache = slot.0.lock();
            let frames = cache.frames();
            cache.drain(self.zone);
            frames
        };
        self.slots.iter().map(drain).sum()
    }

    /// Frames on the lists of all CPUs, while none of them takes or gives any.
    #[must_use]
    pub fn cached_frames(&self) -> usize {
        self.slots.iter().map(|slot| slot.0.lock().frames()).sum()
    }
}
