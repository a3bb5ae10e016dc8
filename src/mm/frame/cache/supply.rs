//! What a cache is filled from and emptied into: a zone behind a lock, or one without.
//!
//! Blocks that a cache holds carry a state of their own in their descriptors. The supply sets it when it hands blocks out and takes
//! it off when they come back; in between only the cache's CPU writes these descriptors.

use crate::mm::address::{Order, Pfn};
use crate::mm::frame::buddy::Buddy;
use crate::mm::frame::descriptor::{CACHED, Descriptor, NOT_A_HEAD, Table};
use crate::mm::frame::tree::TreeFrames;
use crate::mm::frame::{AllocError, Block, FrameAllocator, FreeError, Gfp, SharedFrames};

/// The side of a zone that caches see, for who may change the zone now. Blocks are named by the index of their first frame.
pub trait Supply<'m> {
    /// The first frame of the zone.
    fn start(&self) -> Pfn;

    /// Usable frames of the zone.
    fn present(&self) -> u64;

    /// The descriptors that are alive.
    fn alive(&self) -> Table<'m>;

    /// Whether the zone is so short of frames that caches should hold none.
    fn is_short(&self) -> bool;

    /// Takes single frames for a CPU's cache, as many as the zone can spare, and writes their indices from the front of `places` on.
    /// Returns how many. Fewer than there are places does not mean that there are no more: 0 does.
    fn fill(&mut self, cpu: usize, places: &mut [u32]) -> usize;

    /// Takes at most `most` blocks of `order` that the zone can spare for a CPU's cache.
    fn fill_blocks(&mut self, cpu: usize, order: u32, most: usize, put: impl FnMut(u32));

    /// Puts back single frames of a CPU's cache.
    fn empty(&mut self, cpu: usize, frames: &[u32]);

    /// Puts back a block of a CPU's cache.
    fn empty_block(&mut self, cpu: usize, index: u32, order: u32);

    /// Serves a request past the caches.
    ///
    /// # Errors
    ///
    /// There is no such block.
    fn alloc(&mut self, cpu: usize, gfp: Gfp, order: Order) -> Result<Block, AllocError>;

    /// Frees a block past the caches.
    ///
    /// # Errors
    ///
    /// Exactly this block is not allocated; then nothing changes.
    fn free(&mut self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError>;
}

/// A zone that CPUs share, each through a cache of its own.
pub trait Cacheable<'m> {
    /// The side of the zone that caches see.
    type Supply: Supply<'m>;

    /// Calls `work` when the zone can be changed.
    fn supply<R>(&self, work: impl FnOnce(&mut Self::Supply) -> R) -> R;
}

impl<'m, B: Buddy> Cacheable<'m> for SharedFrames<'m, B> {
    type Supply = FrameAllocator<'m, B>;

    fn supply<R>(&self, work: impl FnOnce(&mut Self::Supply) -> R) -> R {
        work(&mut self.lock())
    }
}

impl<'m> Cacheable<'m> for TreeFrames<'m> {
    type Supply = TreeFrames<'m>;

    /// Any CPU may change the zone at any time.
    fn supply<R>(&self, work: impl FnOnce(&mut Self::Supply) -> R) -> R {
        work(&mut self.handle())
    }
}

/// The zone that ordinary requests start at.
impl<'m, B: Buddy> Supply<'m> for FrameAllocator<'m, B> {
    fn start(&self) -> Pfn {
        self.zones[0].pfn(0)
    }

    fn present(&self) -> u64 {
        self.zones[0].present
    }

    fn alive(&self) -> Table<'m> {
        self.zones[0].lists.table
    }

    fn is_short(&self) -> bool {
        self.zones[0].free() <= self.zones[0].marks.low
    }

    /// A run out of the smallest block that there is: what as many requests for single frames would come upon first.
    fn fill(&mut self, _: usize, places: &mut [u32]) -> usize {
        let zone = &mut self.zones[0];
        let spare = zone.free().saturating_sub(zone.marks.low + 1);
        let Some(run) = zone.take_run(spare.min(places.len() as u64)) else {
            return 0;
        };
        let frames = run.len();
        let descriptors = zone.lists.table.run(run.start, frames).unwrap_or(&[]);
        for ((place, descriptor), index) in places.iter_mut().zip(descriptors).zip(run) {
            descriptor.set(CACHED);
            *place = index as u32;
        }
        frames
    }

    fn fill_blocks(&mut self, _: usize, order: u32, most: usize, mut put: impl FnMut(u32)) {
        let zone = &mut self.zones[0];
        let spare = zone.free().saturating_sub(zone.marks.low + 1) >> order;
        for _ in 0..spare.min(most as u64) {
            let Some(index) = zone.take(order) else {
                break;
            };
            if let Some(head) = zone.lists.table.get(index) {
                head.set(CACHED | u64::from(order));
                put(index as u32);
            }
        }
    }

    fn empty(&mut self, _: usize, frames: &[u32]) {
        self.zones[0].give_cached(frames);
    }

    fn empty_block(&mut self, _: usize, index: u32, order: u32) {
        self.zones[0].give_cached_block(index as usize, order);
    }

    fn alloc(&mut self, _: usize, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        self.alloc_pages(gfp, order)
    }

    fn free(&mut self, _: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.free_pages(pfn, order)
    }
}

/// A zone without a lock keeps no reserve: its last frames are to be had, too.
impl<'m> Supply<'m> for TreeFrames<'m> {
    fn start(&self) -> Pfn {
        self.first_frame()
    }

    fn present(&self) -> u64 {
        self.frame_count()
    }

    fn alive(&self) -> Table<'m> {
        self.descriptors()
    }

    fn is_short(&self) -> bool {
        false
    }

    fn fill(&mut self, cpu: usize, places: &mut [u32]) -> usize {
        let most = places.len() as u64;
        let mut places = places.iter_mut();
        let put = |index| {
            if let Some(place) = places.next() {
                *place = index as u32;
            }
        };
        self.take_singles(cpu, most, CACHED, put) as usize
    }

    fn fill_blocks(&mut self, cpu: usize, order: u32, most: usize, mut put: impl FnMut(u32)) {
        for _ in 0..most {
            let Some(index) = self.take_index(cpu, order) else {
                break;
            };
            if let Some(head) = self.descriptors().get(index) {
                head.set(CACHED | u64::from(order));
                put(index as u32);
            }
        }
    }

    fn empty(&mut self, cpu: usize, frames: &[u32]) {
        let frames = frames.iter().map(|&index| index as usize);
        let release = |head: &Descriptor| {
            // No other CPU writes the descriptor of a cached frame.
            let cached = head.word() == CACHED;
            if cached {
                head.set(NOT_A_HEAD);
            }
            cached
        };
        let given = self.give_singles(cpu, frames, release);
        debug_assert!(given.is_ok(), "a frame on a list is not cached");
    }

    fn empty_block(&mut self, cpu: usize, index: u32, order: u32) {
        let cached = CACHED | u64::from(order);
        self.give_index(cpu, index as usize, order, cached);
    }

    fn alloc(&mut self, cpu: usize, _: Gfp, order: Order) -> Result<Block, AllocError> {
        self.alloc_pages(cpu, order)
    }

    fn free(&mut self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.free_pages(cpu, pfn, order)
    }
}
