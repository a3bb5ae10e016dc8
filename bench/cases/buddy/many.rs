//! 512 single frames taken in one call into an array, and given back in one in the same order.

use pagemark::mm::address::Pfn;
use pagemark::mm::frame::{FreeError, WholeZone};

use crate::harness::case::{Case, Failure, expect_eq};

/// Frames of a call.
const FRAMES: usize = 512;

/// The zone and the frames that are held.
pub(super) struct Many<'a, Z> {
    zone: &'a Z,
    frames: [Pfn; FRAMES],
    taken: usize,
    freed: Result<(), FreeError>,
    free_before: u64,
}

impl<'a, Z: WholeZone> Many<'a, Z> {
    pub(super) const fn new(zone: &'a Z) -> Self {
        Many {
            zone,
            frames: [Pfn(0); FRAMES],
            taken: 0,
            freed: Ok(()),
            free_before: 0,
        }
    }

    fn take(&mut self) {
        self.taken = self.zone.take_many(0, &mut self.frames);
    }

    fn give(&mut self) {
        self.freed = self.zone.give_many(0, &self.frames[..self.taken]);
    }

    fn expect_free(&self, frames: u64) -> Result<(), Failure> {
        expect_eq!("free frames", self.zone.free_frames(), frames);
        Ok(())
    }
}

/// Takes the frames.
pub(super) struct Alloc<'a, Z>(pub(super) Many<'a, Z>);

impl<Z: WholeZone> Case for Alloc<'_, Z> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.taken = 0;
        self.0.free_before = self.0.zone.free_frames();
        Ok(())
    }

    fn operation(&mut self) {
        self.0.take();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("frames taken", self.0.taken, FRAMES);
        self.0.expect_free(self.0.free_before - FRAMES as u64)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.give();
        Ok(self.0.freed?)
    }
}

/// Gives the frames back.
pub(super) struct Free<'a, Z>(pub(super) Many<'a, Z>);

impl<Z: WholeZone> Case for Free<'_, Z> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.free_before = self.0.zone.free_frames();
        self.0.take();
        Ok(())
    }

    fn operation(&mut self) {
        self.0.give();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("frames that were taken", self.0.taken, FRAMES);
        self.0.expect_free(self.0.free_before)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.0.freed?)
    }
}
