//! Blocks of the machine's own RAM, one at a time, which are written to and read back: out of the CPU's cache, as the kernel takes them,
//! or past it. As many follow on each other as the batch: one alone is shorter than what a bracket around one operation resolves.

use arrayvec::ArrayVec;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{AllocError, Block, FreeError, Gfp};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// Blocks in the smaller bracket, by order: those of both take 64 MiB at most, and as few as a cache has, if they come out of one.
const fn batch(order: u8, cached: bool) -> u32 {
    match (order, cached) {
        (0, _) => 64,
        (_, true) => 2,
        (_, false) => 8,
    }
}

/// The most blocks.
const MOST: usize = 2 * batch(0, false) as usize;

fn free_frames<const CACHED: bool>(machine: &Machine) -> u64 {
    match CACHED {
        true => machine.kernel.free_frames(),
        false => machine.kernel.frames.free_frames(),
    }
}

#[inline]
fn alloc<const CACHED: bool>(machine: &mut Machine, order: Order) -> Result<Block, AllocError> {
    match CACHED {
        true => machine.kernel.alloc_block(Gfp::KERNEL, order),
        false => machine.kernel.frames.alloc_pages(Gfp::KERNEL, order),
    }
}

#[inline]
fn free<const CACHED: bool>(
    machine: &mut Machine,
    block: Block,
    order: Order,
) -> Result<(), FreeError> {
    match CACHED {
        true => machine.kernel.free_block(block),
        false => machine.kernel.frames.free_pages(block.into_raw().0, order),
    }
}

struct Alloc<'m, const ORDER: u8, const CACHED: bool> {
    machine: &'m mut Machine,
    free_before: u64,
    blocks: ArrayVec<Block, MOST>,
    outcome: Result<(), AllocError>,
}

impl<const ORDER: u8, const CACHED: bool> Alloc<'_, ORDER, CACHED> {
    const ORDER: Order = Order::new(ORDER).unwrap();
}

impl<const ORDER: u8, const CACHED: bool> Case for Alloc<'_, ORDER, CACHED> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepare_for(1)
    }

    /// A cache gets the blocks from a round of taking and giving back.
    fn prepare_for(&mut self, count: u32) -> Result<(), Failure> {
        if CACHED {
            for _ in 0..count {
                self.operation();
            }
            self.restore()?;
        }
        self.free_before = free_frames::<CACHED>(self.machine);
        Ok(())
    }

    fn operation(&mut self) {
        match alloc::<CACHED>(self.machine, Self::ORDER) {
            // There is room for all operations of both brackets.
            Ok(block) => drop(self.blocks.try_push(block)),
            Err(error) => self.outcome = Err(error),
        }
    }

    fn batch(&self) -> u32 {
        batch(ORDER, CACHED)
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let taken = self.free_before - free_frames::<CACHED>(self.machine);
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
            free::<CACHED>(self.machine, block, Self::ORDER)?;
        }
        Ok(self.outcome?)
    }
}

struct Free<'m, const ORDER: u8, const CACHED: bool> {
    machine: &'m mut Machine,
    free_before: u64,
    /// The one that comes next is the last.
    blocks: ArrayVec<Block, MOST>,
    /// The one that was given back last.
    freed: Pfn,
    outcome: Result<(), FreeError>,
}

impl<const ORDER: u8, const CACHED: bool> Free<'_, ORDER, CACHED> {
    const ORDER: Order = Order::new(ORDER).unwrap();

    fn give_back(&mut self) -> Result<(), FreeError> {
        while let Some(block) = self.blocks.pop() {
            free::<CACHED>(self.machine, block, Self::ORDER)?;
        }
        Ok(())
    }
}

impl<const ORDER: u8, const CACHED: bool> Case for Free<'_, ORDER, CACHED> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepare_for(1)
    }

    fn prepare_for(&mut self, count: u32) -> Result<(), Failure> {
        self.give_back()?;
        self.free_before = free_frames::<CACHED>(self.machine);
        for _ in 0..count {
            match alloc::<CACHED>(self.machine, Self::ORDER) {
                Ok(block) => self.blocks.push(block),
                Err(error) => {
                    self.give_back()?;
                    return Err(error.into());
                }
            }
        }
        // The one that was taken first goes back first.
        self.blocks.reverse();
        Ok(())
    }

    fn operation(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        self.freed = block.pfn();
        if let Err(error) = free::<CACHED>(self.machine, block, Self::ORDER) {
            self.outcome = Err(error);
        }
    }

    fn batch(&self) -> u32 {
        batch(ORDER, CACHED)
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let free = free_frames::<CACHED>(self.machine);
        expect_eq!("free frames", free, self.free_before);
        let pfn = self.freed;
        let frames = &mut self.machine.kernel.frames;
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

fn both<const ORDER: u8, const CACHED: bool>(
    machine: &mut Machine,
    run: &mut Run,
    [alloc, free]: [&'static str; 2],
) {
    // Twice what a sample takes, so that whole blocks are among them.
    let frames = Alloc::<ORDER, CACHED>::ORDER.frames();
    let taken = 2 * u64::from(batch(ORDER, CACHED)) * frames;
    if machine.kernel.frames.free_frames() < 2 * taken {
        for name in [alloc, free] {
            run.skip(name, "too little memory for as many blocks");
        }
        return;
    }
    let mut case = Alloc::<ORDER, CACHED> {
        machine,
        free_before: 0,
        blocks: ArrayVec::new(),
        outcome: Ok(()),
    };
    run.measure(alloc, &mut case);
    let mut case = Free::<ORDER, CACHED> {
        machine,
        free_before: 0,
        blocks: ArrayVec::new(),
        freed: Pfn(0),
        outcome: Ok(()),
    };
    run.measure(free, &mut case);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    both::<0, true>(machine, run, ["buddy/alloc/order=0", "buddy/free/order=0"]);
    both::<9, true>(machine, run, ["buddy/alloc/order=9", "buddy/free/order=9"]);
    run.in_tier(Tier::Full, |run| {
        both::<0, false>(machine, run, pair!("order=0", "cache=none"));
        both::<9, false>(machine, run, pair!("order=9", "cache=none"));
    });
}
