//! One block taken, one block given back, between steps that change the zone's state or leave it as it is.

use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, FreeError};

use super::source::Source;
use crate::harness::case::{Case, Failure, expect_eq};

/// The order as a constant, as callers have it.
const fn order<const ORDER: u8>() -> Order {
    Order::new(ORDER).unwrap()
}

/// Takes one block.
pub(super) struct Alloc<S, N, const ORDER: u8> {
    pub(super) source: S,
    /// What happens to the zone between samples.
    between: N,
    free_before: u64,
    frame: Pfn,
    taken: Result<(), AllocError>,
    freed: Result<(), FreeError>,
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Alloc<S, N, ORDER> {
    pub(super) fn new(source: S, between: N) -> Self {
        Alloc {
            source,
            between,
            free_before: 0,
            frame: Pfn(0),
            taken: Ok(()),
            freed: Ok(()),
        }
    }
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Alloc<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        (self.between)()?;
        self.free_before = self.source.free_frames();
        Ok(())
    }

    fn operation(&mut self) {
        self.source
            .alloc(order::<ORDER>(), &mut self.frame, &mut self.taken);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - self.source.free_frames();
        expect_eq!("frames taken", taken, order::<ORDER>().frames());
        let offset = self.frame.0 % order::<ORDER>().frames();
        expect_eq!("the block's alignment", offset, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.taken?;
        self.source
            .free(&self.frame, order::<ORDER>(), &mut self.freed);
        Ok(self.freed?)
    }
}

/// Gives one block back.
pub(super) struct Free<S, N, const ORDER: u8> {
    source: S,
    between: N,
    free_before: u64,
    frame: Pfn,
    taken: Result<(), AllocError>,
    freed: Result<(), FreeError>,
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Free<S, N, ORDER> {
    pub(super) fn new(source: S, between: N) -> Self {
        Free {
            source,
            between,
            free_before: 0,
            frame: Pfn(0),
            taken: Ok(()),
            freed: Ok(()),
        }
    }
}

impl<S: Source, N: FnMut() -> Result<(), Failure>, const ORDER: u8> Case for Free<S, N, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        (self.between)()?;
        self.free_before = self.source.free_frames();
        self.source
            .alloc(order::<ORDER>(), &mut self.frame, &mut self.taken);
        Ok(self.taken?)
    }

    fn operation(&mut self) {
        self.source
            .free(&self.frame, order::<ORDER>(), &mut self.freed);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = self.source.free_frames();
        expect_eq!("free frames", free, self.free_before);
        let mut again = Ok(());
        self.source.free(&self.frame, order::<ORDER>(), &mut again);
        let error = FreeError::AlreadyFree { pfn: self.frame };
        expect_eq!("a second free", again, Err(error));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.freed?)
    }
}
