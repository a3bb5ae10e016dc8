//! An allocator that CPUs share.

#![forbid(unsafe_code)]

use super::buddy::Buddy;
use super::sync::{Mutex, MutexGuard};
use super::{AllocError, Block, FrameAllocator, FreeError, Gfp, InDescriptor};
use crate::mm::address::{Order, Pfn};

/// A frame allocator behind a spin lock. Interrupt handlers never allocate, so the lock leaves interrupts as they are.
pub struct SharedFrames<'m, B = InDescriptor>(Mutex<FrameAllocator<'m, B>>);

/// The allocator, for as long as one CPU holds its lock.
pub type LockedFrames<'a, 'm, B = InDescriptor> = MutexGuard<'a, FrameAllocator<'m, B>>;

impl<'m, B> SharedFrames<'m, B> {
    /// Puts the allocator behind a lock.
    pub fn new(allocator: FrameAllocator<'m, B>) -> Self {
        SharedFrames(Mutex::new(allocator))
    }

    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> LockedFrames<'_, 'm, B> {
        // Waiting is out of line: nobody else is there as a rule.
        match self.0.try_lock() {
            Some(locked) => locked,
            None => self.wait(),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> LockedFrames<'_, 'm, B> {
        self.0.lock()
    }

    /// Takes the lock away.
    pub fn into_inner(self) -> FrameAllocator<'m, B> {
        self.0.into_inner()
    }
}

/// Single operations, which take the lock themselves. Waiting for it happens out of line, together with whatever else takes
/// more than a few steps.
impl<'m, B: Buddy> SharedFrames<'m, B> {
    /// Allocates a block of 2^order frames, aligned to its size.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_pages`].
    #[inline(always)]
    pub fn alloc_pages(&self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        match self.try_alloc_pages(gfp, order) {
            Some(block) => Ok(block),
            None => self.alloc_pages_slowly(gfp, order),
        }
    }

    /// The fast path of [`alloc_pages`](Self::alloc_pages), for callers that want it inline and the rest elsewhere: a request
    /// that finds the lock free and is served in a few steps.
    #[inline(always)]
    pub fn try_alloc_pages(&self, gfp: Gfp, order: Order) -> Option<Block> {
        self.0.try_lock()?.try_alloc_pages(gfp, order)
    }

    /// Frees a block.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free`].
    #[inline(always)]
    pub fn free(&self, block: Block) -> Result<(), FreeError> {
        self.free_pages(block.pfn(), block.order())
    }

    /// Frees the block of 2^order frames at `pfn`, for owners that keep the frame number alone.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`].
    #[inline(always)]
    pub fn free_pages(&self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        match self.try_free_pages(pfn, order) {
            true => Ok(()),
            false => self.free_pages_slowly(pfn, order),
        }
    }

    /// The fast path of [`free_pages`](Self::free_pages), for callers that want it inline and the rest elsewhere: a block that
    /// finds the lock free and goes back in a few steps. `false`, and nothing changed, for any other.
    #[inline(always)]
    pub fn try_free_pages(&self, pfn: Pfn, order: Order) -> bool {
        match self.0.try_lock() {
            Some(mut allocator) => allocator.try_free_pages(pfn, order),
            None => false,
        }
    }

    /// [`alloc_pages`](Self::alloc_pages) without the fast path.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::alloc_pages`].
    #[cold]
    #[inline(never)]
    pub fn alloc_pages_slowly(&self, gfp: Gfp, order: Order) -> Result<Block, AllocError> {
        self.lock().alloc_pages_slowly(gfp, order)
    }

    /// [`free_pages`](Self::free_pages) without the fast path.
    ///
    /// # Errors
    ///
    /// As for [`FrameAllocator::free_pages`].
    #[cold]
    #[inline(never)]
    pub fn free_pages_slowly(&self, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.lock().free_pages_slowly(pfn, order)
    }
}
