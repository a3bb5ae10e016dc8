//! The boot-time allocator: early, permanent allocations straight out of the memory map's ranges.
//!
//! It serves page tables and the allocators' own metadata, before there is a buddy system. A range only ever shrinks at one of
//! its ends, so it needs no memory beyond the list of ranges, and handing over is giving away what is left of them.

#![forbid(unsafe_code)]

use core::{error, fmt};

use crate::mm::address::{FrameRange, Pfn};

/// Hands out frames for good, from the top downwards.
#[derive(Debug)]
pub struct BootAllocator<'m> {
    ranges: &'m mut [FrameRange],
}

/// No range below the limit has enough frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootError {
    /// Frames that were asked for.
    pub frames: u64,
    /// The limit that they should lie below.
    pub below: Pfn,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BootError { frames, below } = self;
        write!(f, "no {frames} contiguous frames below {below:?}")
    }
}

impl error::Error for BootError {}

impl<'m> BootAllocator<'m> {
    /// An allocator over usable frames: sorted, disjoint ranges.
    pub fn new(ranges: &'m mut [FrameRange]) -> BootAllocator<'m> {
        BootAllocator { ranges }
    }

    /// Frames that are left.
    #[must_use]
    pub fn free_frames(&self) -> u64 {
        let frames = |range: &FrameRange| range.end.0 - range.start.0;
        self.ranges.iter().map(frames).sum()
    }

    /// Allocates `frames` contiguous frames that end at or below `below`, from the highest range that has them. They are
    /// not cleared and cannot be freed.
    pub fn alloc(&mut self, frames: u64, below: Pfn) -> Result<FrameRange, BootError> {
        for range in self.ranges.iter_mut().rev() {
            if range.end.0 - range.start.0 < frames {
                continue;
            }
            if range.end <= below {
                let start = Pfn(range.end.0 - frames);
                let taken = start..range.end;
                range.end = start;
                return Ok(taken);
            }
            // The range reaches beyond the limit: only its lower end may serve.
            let end = range.start.add(frames);
            if end <= below {
                let taken = range.start..end;
                range.start = end;
                return Ok(taken);
            }
        }
        Err(BootError { frames, below })
    }

    /// Ends early allocation: the ranges that are left, for the frame allocator.
    #[must_use]
    pub fn finish(self) -> &'m [FrameRange] {
        self.ranges
    }
}
