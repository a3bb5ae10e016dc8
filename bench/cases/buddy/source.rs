//! Where a case gets its frames: from the zone under its lock, from the one without a lock, or from a CPU's cache in front of either.

use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{
    AllocError, Buddy, CachePolicy, Cacheable, FrameCache, FreeError, Gfp, SharedFrames,
    TreeFrames, WholeZone,
};

/// A way to allocate and free. As in a kernel, the fast path is part of the caller's code, and what happens when it does not
/// serve is out of line.
pub(super) trait Source {
    /// Allocates one block, whose frame number goes to `frame`; the error, if any, goes to `outcome`.
    fn alloc(&mut self, order: Order, frame: &mut Pfn, outcome: &mut Result<(), AllocError>);

    /// Frees one block; the error, if any, goes to `outcome`.
    fn free(&mut self, frame: &Pfn, order: Order, outcome: &mut Result<(), FreeError>);

    /// Frames that are not handed out.
    fn free_frames(&mut self) -> u64;
}

/// The zone itself.
pub(super) struct Direct<'a, 'z, B>(pub(super) &'a SharedFrames<'z, B>);

impl<B: Buddy> Source for Direct<'_, '_, B> {
    #[inline(always)]
    fn alloc(&mut self, order: Order, frame: &mut Pfn, outcome: &mut Result<(), AllocError>) {
        match self.0.try_alloc_pages(Gfp::KERNEL, order) {
            Some(block) => *frame = block.into_raw().0,
            None => alloc_slowly(frame, order, outcome, self.0),
        }
    }

    #[inline(always)]
    fn free(&mut self, frame: &Pfn, order: Order, outcome: &mut Result<(), FreeError>) {
        if !self.0.try_free_pages(*frame, order) {
            free_slowly(frame, order, outcome, self.0);
        }
    }

    fn free_frames(&mut self) -> u64 {
        self.0.lock().free_frames()
    }
}

#[cold]
#[inline(never)]
fn alloc_slowly<B: Buddy>(
    frame: &mut Pfn,
    order: Order,
    outcome: &mut Result<(), AllocError>,
    zone: &SharedFrames<'_, B>,
) {
    match zone.alloc_pages_slowly(Gfp::KERNEL, order) {
        Ok(block) => *frame = block.into_raw().0,
        Err(error) => *outcome = Err(error),
    }
}

#[cold]
#[inline(never)]
fn free_slowly<B: Buddy>(
    frame: &Pfn,
    order: Order,
    outcome: &mut Result<(), FreeError>,
    zone: &SharedFrames<'_, B>,
) {
    if let Err(error) = zone.free_pages_slowly(*frame, order) {
        *outcome = Err(error);
    }
}

/// The zone without a lock. No part of an operation is out of line: none is a rare one.
impl Source for &TreeFrames<'_> {
    fn alloc(&mut self, order: Order, frame: &mut Pfn, outcome: &mut Result<(), AllocError>) {
        match self.take(0, order) {
            Some(block) => *frame = block.into_raw().0,
            None => *outcome = Err(AllocError::OutOfFrames { order }),
        }
    }

    fn free(&mut self, frame: &Pfn, order: Order, outcome: &mut Result<(), FreeError>) {
        if let Err(error) = self.give(0, *frame, order) {
            *outcome = Err(error);
        }
    }

    fn free_frames(&mut self) -> u64 {
        WholeZone::free_frames(*self)
    }
}

/// A cache.
pub(super) struct Cached<'a, 'z, Z, P> {
    zone: &'a Z,
    cache: FrameCache<'z, P>,
}

impl<'a, 'z, Z: Cacheable<'z>, P: CachePolicy> Cached<'a, 'z, Z, P> {
    pub(super) fn new(zone: &'a Z) -> Self {
        Cached {
            zone,
            cache: FrameCache::new(zone, 1),
        }
    }

    /// Empties the cache.
    pub(super) fn end(mut self) {
        self.cache.drain(self.zone);
    }

    #[cold]
    #[inline(never)]
    fn alloc_slowly(
        &mut self,
        order: Order,
        frame: &mut Pfn,
        outcome: &mut Result<(), AllocError>,
    ) {
        match self.cache.alloc_pages(self.zone, Gfp::KERNEL, order) {
            Ok(block) => *frame = block.into_raw().0,
            Err(error) => *outcome = Err(error),
        }
    }

    #[cold]
    #[inline(never)]
    fn free_slowly(&mut self, order: Order, frame: &Pfn, outcome: &mut Result<(), FreeError>) {
        if let Err(error) = self.cache.free_pages(self.zone, *frame, order) {
            *outcome = Err(error);
        }
    }
}

impl<'z, Z: Cacheable<'z> + WholeZone, P: CachePolicy> Source for &mut Cached<'_, 'z, Z, P> {
    #[inline(always)]
    fn alloc(&mut self, order: Order, frame: &mut Pfn, outcome: &mut Result<(), AllocError>) {
        let taken = match order {
            Order::ZERO => self.cache.take(Gfp::KERNEL),
            _ => self.cache.take_block(Gfp::KERNEL, order),
        };
        match taken {
            Some(block) => *frame = block.into_raw().0,
            None => self.alloc_slowly(order, frame, outcome),
        }
    }

    #[inline(always)]
    fn free(&mut self, frame: &Pfn, order: Order, outcome: &mut Result<(), FreeError>) {
        let cached = match order {
            Order::ZERO => self.cache.put(*frame),
            _ => self.cache.put_block(*frame, order),
        };
        if !cached {
            self.free_slowly(order, frame, outcome);
        }
    }

    fn free_frames(&mut self) -> u64 {
        self.zone.free_frames() + self.cache.frames() as u64
    }
}
