//! Starting up: an allocator over the memory map of a PC, made from nothing, up to its first frame.
//!
//! The cost has to depend on the number of ranges alone. The metadata of 64 GiB are there in full, but the allocator writes only
//! what it needs for the first frame.

use core::hint::black_box;

use pagemark::machine::Machine;
use pagemark::mm::address::{FrameRange, PAGE_SIZE, Pfn};
use pagemark::mm::frame::{AllocError, Buddy, FrameAllocator, Gfp, Metadata, NewError, WIDE};

use super::metadata::{bytes, with_metadata};
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// A PC's memory: 640 KiB, then from 1 MiB on what fits below the hole for devices, and the rest above 4 GiB.
static RAM_1_GIB: [FrameRange; 2] = [Pfn(0)..Pfn(0x9f), Pfn(0x100)..Pfn(1 << 18)];
static RAM_64_GIB: [FrameRange; 3] = [
    Pfn(0)..Pfn(0x9f),
    Pfn(0x100)..Pfn(3 << 18),
    Pfn(4 << 18)..Pfn(65 << 18),
];

struct StartUp<'b, B> {
    ranges: &'static [FrameRange],
    metadata: Metadata<'b>,
    /// Frames free after the first was taken.
    left: Result<u64, Refused>,
    buddy: core::marker::PhantomData<B>,
}

/// What went wrong inside the bracket.
#[derive(Clone, Copy)]
enum Refused {
    New(NewError),
    Alloc(AllocError),
}

impl<B: Buddy> StartUp<'_, B> {
    fn start_up(&mut self) -> Result<u64, Refused> {
        let metadata = Metadata {
            descriptors: &mut *self.metadata.descriptors,
            words: &mut *self.metadata.words,
        };
        let mut frames =
            FrameAllocator::<B>::new(self.ranges, &WIDE, metadata).map_err(Refused::New)?;
        let block = black_box(&mut frames)
            .alloc_page(Gfp::KERNEL)
            .map_err(Refused::Alloc)?;
        // The allocator is gone in a moment, and its frames with it.
        let _ = block.into_raw();
        Ok(frames.free_frames())
    }
}

impl<B: Buddy> Case for StartUp<'_, B> {
    fn operation(&mut self) {
        self.left = self.start_up();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = |range: &FrameRange| range.end.0 - range.start.0;
        let present: u64 = self.ranges.iter().map(frames).sum();
        expect_eq!("free frames", self.left.ok(), Some(present - 1));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        match self.left {
            Ok(_) => Ok(()),
            Err(Refused::New(error)) => Err(error.into()),
            Err(Refused::Alloc(error)) => Err(error.into()),
        }
    }
}

/// Both sizes with one back end.
pub(super) fn run<B: Buddy>(machine: &mut Machine, run: &mut Run, names: [&'static str; 2]) {
    for (name, ranges) in names.into_iter().zip([&RAM_1_GIB[..], &RAM_64_GIB]) {
        if !run.would(name) {
            continue;
        }
        let Ok(size) = FrameAllocator::<B>::metadata_size(ranges, &WIDE) else {
            continue;
        };
        // The frames of the area, its tables, and what the marks hold back.
        let needed = bytes(size) / PAGE_SIZE * 9 / 8;
        if machine.kernel.frames.free_frames() < needed {
            run.skip(name, "too little memory for the descriptors");
            continue;
        }
        if machine.layout.vmalloc.bytes() <= bytes(size) {
            run.skip(name, "too few addresses for the descriptors");
            continue;
        }
        let outcome = with_metadata::<B>(machine, ranges, &WIDE, |metadata| {
            let mut case = StartUp::<B> {
                ranges,
                metadata,
                left: Ok(0),
                buddy: core::marker::PhantomData,
            };
            run.measure(name, &mut case);
            Ok(())
        });
        if outcome.is_err() {
            run.check(name, outcome);
        }
    }
}
