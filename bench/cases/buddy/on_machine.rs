//! One block of the machine's own RAM, which is written to and read back.

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, Block, FreeError, Gfp};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

struct Alloc<'m, const ORDER: u8> {
    machine: &'m mut Machine,
    free_before: u64,
    block: Option<Block>,
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
            Ok(block) => self.block = Some(block),
            Err(error) => self.outcome = Err(error),
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - self.machine.kernel.frames.free_frames();
        expect_eq!("frames taken", taken, Self::ORDER.frames());
        if let Some(block) = &self.block {
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
        if let Some(block) = self.block.take() {
            self.machine.kernel.frames.free(block)?;
        }
        Ok(self.outcome?)
    }
}

struct Free<'m, const ORDER: u8> {
    machine: &'m mut Machine,
    free_before: u64,
    frame: Pfn,
    outcome: Result<(), FreeError>,
}

impl<const ORDER: u8> Free<'_, ORDER> {
    const ORDER: Order = Order::new(ORDER).unwrap();
}

impl<const ORDER: u8> Case for Free<'_, ORDER> {
    fn prepare(&mut self) -> Result<(), Failure> {
        let frames = &mut self.machine.kernel.frames;
        self.free_before = frames.free_frames();
        self.frame = frames.alloc_pages(Gfp::KERNEL, Self::ORDER)?.into_raw().0;
        Ok(())
    }

    fn operation(&mut self) {
        let frames = &mut self.machine.kernel.frames;
        if let Err(error) = frames.free_pages(self.frame, Self::ORDER) {
            self.outcome = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = &mut self.machine.kernel.frames;
        expect_eq!("free frames", frames.free_frames(), self.free_before);
        expect_eq!(
            "a second free",
            frames.free_pages(self.frame, Self::ORDER),
            Err(FreeError::AlreadyFree { pfn: self.frame })
        );
        frames.validate()?;
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}

fn both<const ORDER: u8>(machine: &mut Machine, run: &mut Run, [alloc, free]: [&'static str; 2]) {
    let mut case = Alloc::<ORDER> {
        machine,
        free_before: 0,
        block: None,
        outcome: Ok(()),
    };
    run.measure(alloc, &mut case);
    let mut case = Free::<ORDER> {
        machine,
        free_before: 0,
        frame: Pfn(0),
        outcome: Ok(()),
    };
    run.measure(free, &mut case);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    both::<0>(machine, run, ["buddy/alloc/order=0", "buddy/free/order=0"]);
    both::<9>(machine, run, ["buddy/alloc/order=9", "buddy/free/order=9"]);
}
