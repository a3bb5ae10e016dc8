//! One block taken, one block given back, between steps that change the zone's state or leave it as it is.

use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, FreeError};

use super::source::Source;
use crate::harness::case::{Case, Failure, expect_eq};

/// The order as a constant, as callers have it.
const fn order<const ORDER: u8>() -> Order {
    Order::new(ORDER).unwrap()
}

/// One block, where it comes from, and what happens to the zone between samples.
pub(super) struct Block<S, N, const ORDER: u8> {
    pub(super) source: S,
    between: N,
    free_before: u64,
    frame: Pfn,
    taken: Result<(), AllocError>,
    freed: Result<(), FreeError>,
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Block<S, N, ORDER> {
    pub(super) fn new(source: S, between: N) -> Self {
        Block {
            source,
            between,
            free_before: 0,
            frame: Pfn(0),
            taken: Ok(()),
            freed: Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), Failure> {
        (self.between)()?;
        self.free_before = self.source.free_frames();
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self) {
        self.source
            .alloc(order::<ORDER>(), &mut self.frame, &mut self.taken);
    }

    #[inline(always)]
    fn give_back(&mut self) {
        self.source
            .free(&self.frame, order::<ORDER>(), &mut self.freed);
    }
}

/// Takes the block.
pub(super) struct Alloc<S, N, const ORDER: u8>(pub(super) Block<S, N, ORDER>);

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Alloc<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.begin()
    }

    fn operation(&mut self) {
        self.0.take();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.0.free_before - self.0.source.free_frames();
        expect_eq!("frames taken", taken, order::<ORDER>().frames());
        let offset = self.0.frame.0 % order::<ORDER>().frames();
        expect_eq!("the block's alignment", offset, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.taken?;
        self.0.give_back();
        Ok(self.0.freed?)
    }
}

/// Gives the block back.
pub(super) struct Free<S, N, const ORDER: u8>(pub(super) Block<S, N, ORDER>);

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Free<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.begin()?;
        self.0.take();
        Ok(self.0.taken?)
    }

    fn operation(&mut self) {
        self.0.give_back();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = self.0.source.free_frames();
        expect_eq!("free frames", free, self.0.free_before);
        let mut again = Ok(());
        let frame = self.0.frame;
        self.0.source.free(&frame, order::<ORDER>(), &mut again);
        let error = FreeError::AlreadyFree { pfn: frame };
        expect_eq!("a second free", again, Err(error));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.0.freed?)
    }
}
