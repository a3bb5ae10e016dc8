//! 512 frames taken one by one, or given back one by one in random order.

use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, FreeError};

use super::source::Source;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::random::Random;

/// Frames of a burst.
const FRAMES: usize = 512;

/// The frames that a burst holds.
pub(super) struct Held {
    frames: [Pfn; FRAMES],
    taken: Result<(), AllocError>,
    freed: Result<(), FreeError>,
}

impl Held {
    pub(super) const NONE: Held = Held {
        frames: [Pfn(0); FRAMES],
        taken: Ok(()),
        freed: Ok(()),
    };

    #[inline(always)]
    fn take(&mut self, source: &mut impl Source) {
        for frame in &mut self.frames {
            source.alloc(Order::ZERO, frame, &mut self.taken);
        }
    }

    #[inline(always)]
    fn give_back(&mut self, source: &mut impl Source) {
        for frame in &self.frames {
            source.free(frame, Order::ZERO, &mut self.freed);
        }
    }

    /// Puts the frames into an order that is random, and the same each time.
    fn shuffle(&mut self) {
        let mut random = Random::new();
        for last in (1..FRAMES).rev() {
            self.frames
                .swap(last, random.below(last as u64 + 1) as usize);
        }
    }
}

/// Takes a burst.
pub(super) struct Alloc<S> {
    pub(super) source: S,
    pub(super) held: Held,
    pub(super) free_before: u64,
}

impl<S: Source> Case for Alloc<S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.source.free_frames();
        Ok(())
    }

    fn operation(&mut self) {
        self.held.take(&mut self.source);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - self.source.free_frames();
        expect_eq!("frames taken", taken, FRAMES as u64);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.held.shuffle();
        self.held.give_back(&mut self.source);
        self.held.taken?;
        Ok(self.held.freed?)
    }
}

/// Gives a burst back.
pub(super) struct Free<S> {
    pub(super) source: S,
    pub(super) held: Held,
    pub(super) free_before: u64,
}

impl<S: Source> Case for Free<S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.source.free_frames();
        self.held.take(&mut self.source);
        self.held.shuffle();
        Ok(())
    }

    fn operation(&mut self) {
        self.held.give_back(&mut self.source);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = self.source.free_frames();
        expect_eq!("free frames", free, self.free_before);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.held.taken?;
        Ok(self.held.freed?)
    }
}
