//! One block of the machine's own RAM, which is written to and read back.

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, Block, FreeError, Gfp};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

struct Alloc<'m> {
    machine: &'m mut Machine,
    order: Order,
    free_before: u64,
    block: Option<Block>,
    outcome: Result<(), AllocError>,
}

impl Case for Alloc<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.machine.kernel.frames.free_frames();
        Ok(())
    }

    fn operation(&mut self) {
        match self
            .machine
            .kernel
            .frames
            .alloc_pages(Gfp::KERNEL, self.order)
        {
            Ok(block) => self.block = Some(block),
            Err(error) => self.outcome = Err(error),
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - self.machine.kernel.frames.free_frames();
        expect_eq!("frames taken", taken, self.order.frames());
        if let Some(block) = &self.block {
            expect_eq!(
                "the block's alignment",
                block.pfn().0 % self.order.frames(),
                0
            );
            let last = block.pfn().add(self.order.frames() - 1);
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

struct Free<'m> {
    machine: &'m mut Machine,
    order: Order,
    free_before: u64,
    frame: Pfn,
    block: Option<Block>,
    outcome: Result<(), FreeError>,
}

impl Case for Free<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.machine.kernel.frames.free_frames();
        let block = self
            .machine
            .kernel
            .frames
            .alloc_pages(Gfp::KERNEL, self.order)?;
        self.frame = block.pfn();
        self.block = Some(block);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(block) = self.block.take()
            && let Err(error) = self.machine.kernel.frames.free(block)
        {
            self.outcome = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frames = &mut self.machine.kernel.frames;
        expect_eq!("free frames", frames.free_frames(), self.free_before);
        expect_eq!(
            "a second free",
            frames.free_pages(self.frame, self.order),
            Err(FreeError::AlreadyFree { pfn: self.frame })
        );
        frames.validate()?;
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    const NINE: Order = Order::new(9).unwrap();
    for (order, alloc, free) in [
        (Order::ZERO, "buddy/alloc/order=0", "buddy/free/order=0"),
        (NINE, "buddy/alloc/order=9", "buddy/free/order=9"),
    ] {
        run.measure(
            alloc,
            &mut Alloc {
                machine,
                order,
                free_before: 0,
                block: None,
                outcome: Ok(()),
            },
        );
        let mut case = Free {
            machine,
            order,
            free_before: 0,
            frame: Pfn(0),
            block: None,
            outcome: Ok(()),
        };
        run.measure(free, &mut case);
    }
}
