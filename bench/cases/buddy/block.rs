//! One block taken, one block given back, between steps that change the zone's state or leave it as it is.
//!
//! A frame out of a cache costs less than what a bracket around one operation resolves. So as many as the batch are taken, or given
//! back, in a row: few enough for the cache to have all of them. From a zone whose state is the case one is taken alone.

use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, FreeError};

use super::source::Source;
use crate::harness::case::{Case, Failure, expect_eq};

/// The order as a constant, as callers have it.
const fn order<const ORDER: u8>() -> Order {
    Order::new(ORDER).unwrap()
}

/// The most blocks in a row.
const MOST: usize = 32;
/// Blocks in a row where a cache has them.
pub(super) const CACHED: u32 = MOST as u32 / 2;

/// Blocks, where they come from, and what happens to the zone between samples.
pub(super) struct Block<S, N, const ORDER: u8> {
    pub(super) source: S,
    between: N,
    batch: u32,
    free_before: u64,
    frames: [Pfn; MOST],
    /// Operations since the state was prepared.
    done: usize,
    taken: Result<(), AllocError>,
    freed: Result<(), FreeError>,
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Block<S, N, ORDER> {
    /// `batch` blocks in a row, or twice as many: [`MOST`] at most.
    pub(super) fn new(source: S, between: N, batch: u32) -> Self {
        Block {
            source,
            between,
            batch,
            free_before: 0,
            frames: [Pfn(0); MOST],
            done: 0,
            taken: Ok(()),
            freed: Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), Failure> {
        (self.between)()?;
        self.done = 0;
        self.free_before = self.source.free_frames();
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self) {
        let frame = &mut self.frames[self.done % MOST];
        self.done += 1;
        self.source.alloc(order::<ORDER>(), frame, &mut self.taken);
    }

    #[inline(always)]
    fn give_back(&mut self) {
        let frame = &self.frames[self.done % MOST];
        self.done += 1;
        self.source.free(frame, order::<ORDER>(), &mut self.freed);
    }
}

/// Takes the block.
pub(super) struct Alloc<S, N, const ORDER: u8>(pub(super) Block<S, N, ORDER>);

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Alloc<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepare_for(1)
    }

    /// Where a cache is to have the blocks, it gets them from a round of taking and giving back.
    fn prepare_for(&mut self, count: u32) -> Result<(), Failure> {
        self.0.begin()?;
        if self.0.batch > 1 {
            for _ in 0..count {
                self.0.take();
            }
            self.restore()?;
            self.0.begin()?;
        }
        Ok(())
    }

    fn batch(&self) -> u32 {
        self.0.batch
    }

    fn operation(&mut self) {
        self.0.take();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.0.free_before - self.0.source.free_frames();
        expect_eq!("frames taken", taken, order::<ORDER>().frames());
        let offset = self.0.frames[0].0 % order::<ORDER>().frames();
        expect_eq!("the block's alignment", offset, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.taken?;
        let taken = core::mem::take(&mut self.0.done);
        // The last one first: a cache is a stack.
        self.0.frames[..taken].reverse();
        for _ in 0..taken {
            self.0.give_back();
        }
        Ok(self.0.freed?)
    }
}

/// Gives the block back.
pub(super) struct Free<S, N, const ORDER: u8>(pub(super) Block<S, N, ORDER>);

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Free<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepare_for(1)
    }

    fn prepare_for(&mut self, count: u32) -> Result<(), Failure> {
        self.0.begin()?;
        for _ in 0..count {
            self.0.take();
        }
        self.0.done = 0;
        Ok(self.0.taken?)
    }

    fn batch(&self) -> u32 {
        self.0.batch
    }

    fn operation(&mut self) {
        self.0.give_back();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = self.0.source.free_frames();
        expect_eq!("free frames", free, self.0.free_before);
        let mut again = Ok(());
        let frame = self.0.frames[0];
        self.0.source.free(&frame, order::<ORDER>(), &mut again);
        let error = FreeError::AlreadyFree { pfn: frame };
        expect_eq!("a second free", again, Err(error));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.0.freed?)
    }
}
