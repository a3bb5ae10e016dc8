//! Blocks of the machine's own RAM, one at a time, which are written to and read back. As many follow on each other as the batch: one
//! alone is shorter than what a bracket around one operation resolves.

use arrayvec::ArrayVec;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, Block, FreeError, Gfp};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// Blocks in the smaller bracket, by order: those of both take 64 MiB at most.
const fn batch(order: u8) -> u32 {
    if order == 0 { 64 } else { 8 }
}

/// The most blocks.
const MOST: usize = 2 * batch(0) as usize;

struct Alloc<'m, const ORDER: u8> {
    machine: &'m mut Machine,
    free_before: u64,
    blocks: ArrayVec<Block, MOST>,
    outcome: Result<(), AllocError>,
}

impl<const ORDER: u8> Alloc<'_, ORDER> {
    const ORDER: Order = Order::new(ORDER).unwrap();
}

impl<const ORDER: u8> Case for Alloc<'_, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.machine.kernel.frames.free_frames();
        Ok(())
    }

    fn operation(&mut self) {
        match self
            .machine
            .kernel
            .frames
            .alloc_pages(Gfp::KERNEL, Self::ORDER)
        {
            // There is room for all operations of both brackets.
            Ok(block) => drop(self.blocks.try_push(block)),
            Err(error) => self.outcome = Err(error),
        }
    }

    fn batch(&self) -> u32 {
        batch(ORDER)
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - self.machine.kernel.frames.free_frames();
        expect_eq!("frames taken", taken, Self::ORDER.frames());
        for block in &self.blocks {
            expect_eq!(
                "the block's alignment",
                block.pfn().0 % Self::ORDER.frames(),
                0
            );
            let last = block.pfn().add(Self::ORDER.frames() - 1);
            for frame in [block.pfn(), last] {
                // SAFETY: the block is ours.
                unsafe { proof::write(self.machine.frame_address(frame), frame.0)? };
                expect_eq!(
                    "a word of the block",
                    proof::read(self.machine.frame_address(frame))?,
                    frame.0
                );
            }
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        // The last one first, as a stack: the next operations meet what these met.
        while let Some(block) = self.blocks.pop() {
            self.machine.kernel.frames.free(block)?;
        }
        Ok(self.outcome?)
    }
}

struct Free<'m, const ORDER: u8> {
    machine: &'m mut Machine,
    free_before: u64,
    frames: ArrayVec<Pfn, MOST>,
    /// The one that comes next.
    next: usize,
    outcome: Result<(), FreeError>,
}

impl<const ORDER: u8> Free<'_, ORDER> {
    const ORDER: Order = Order::new(ORDER).unwrap();
}

impl<const ORDER: u8> Case for Free<'_, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepare_for(1)
    }

    fn prepare_for(&mut self, count: u32) -> Result<(), Failure> {
        let frames = &mut self.machine.kernel.frames;
        self.free_before = frames.free_frames();
        self.frames.clear();
        self.next = 0;
        for _ in 0..count {
            match frames.alloc_pages(Gfp::KERNEL, Self::ORDER) {
                Ok(block) => self.frames.push(block.into_raw().0),
                Err(error) => {
                    for pfn in self.frames.drain(..) {
                        frames.free_pages(pfn, Self::ORDER)?;
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn operation(&mut self) {
        let frames = &mut self.machine.kernel.frames;
        let Some(&frame) = self.frames.get(self.next) else {
            return;
        };
        self.next += 1;
        if let Err(error) = frames.free_pages(frame, Self::ORDER) {
            self.outcome = Err(error);
        }
    }

    fn batch(&self) -> u32 {
        batch(ORDER)
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = &mut self.machine.kernel.frames;
        expect_eq!("free frames", frames.free_frames(), self.free_before);
        let pfn = self.frames[0];
        expect_eq!(
            "a second free",
            frames.free_pages(pfn, Self::ORDER),
            Err(FreeError::AlreadyFree { pfn })
        );
        frames.validate()?;
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}

fn both<const ORDER: u8>(machine: &mut Machine, run: &mut Run, [alloc, free]: [&'static str; 2]) {
    // Twice what a sample takes, so that whole blocks are among them.
    let taken = 2 * u64::from(batch(ORDER)) * Alloc::<ORDER>::ORDER.frames();
    if machine.kernel.frames.free_frames() < 2 * taken {
        for name in [alloc, free] {
            run.skip(name, "too little memory for as many blocks");
        }
        return;
    }
    let mut case = Alloc::<ORDER> {
        machine,
        free_before: 0,
        blocks: ArrayVec::new(),
        outcome: Ok(()),
    };
    run.measure(alloc, &mut case);
    let mut case = Free::<ORDER> {
        machine,
        free_before: 0,
        frames: ArrayVec::new(),
        next: 0,
        outcome: Ok(()),
    };
    run.measure(free, &mut case);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    both::<0>(machine, run, ["buddy/alloc/order=0", "buddy/free/order=0"]);
    both::<9>(machine, run, ["buddy/alloc/order=9", "buddy/free/order=9"]);
}
