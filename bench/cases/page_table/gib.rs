//! 1 GiB leaves. The GiB of physical memory that a frame of the case lies in is mapped, and nothing but that frame is accessed
//! through the leaf; after a remap, the frame as far into another GiB, which is read.

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::Block;
use pagemark::mm::page_table::{ChangeError, MapError, Protection};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

const SIZE: PageSize = PageSize::Size1G;
/// GiBs of physical memory that are looked through for RAM.
const GIBS: u64 = 64;
/// What the frame of the case holds.
const MARK: u64 = 0x6769_6261_6279_7465;

/// What is done to the leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Map,
    /// To the GiB that this frame lies in, as far into it as the frame of the case into its own.
    Remap(Pfn),
    Protect,
    Unmap,
}

/// A frame of RAM as far into another GiB as `frame` is into its own.
pub fn elsewhere(machine: &Machine, frame: Pfn) -> Option<Pfn> {
    let place = frame.0 % SIZE.frames();
    let others = (0..GIBS).map(|gib| Pfn(gib * SIZE.frames() + place));
    let is_ram = |&other: &Pfn| machine.kernel.first_ram(&(other..other.add(1))).is_some();
    others.filter(|&other| other != frame).find(is_ram)
}

/// The GiB that a frame lies in.
const fn around(frame: Pfn) -> FrameRange {
    let first = Pfn(frame.0 & !(SIZE.frames() - 1));
    first..first.add(SIZE.frames())
}

pub struct Gib<'m> {
    pub machine: &'m mut Machine,
    /// One frame.
    pub block: Block,
    pub operation: Operation,
    pub map: Result<(), MapError>,
    pub change: Result<(), ChangeError>,
}

impl Gib<'_> {
    const fn start(&self) -> VirtAddr {
        self.machine.layout.scratch.start
    }

    /// The frame's page in the leaf.
    fn page(&self) -> VirtAddr {
        let number = self.block.pfn().0 % SIZE.frames();
        VirtAddr(self.start().0 + number * PAGE_SIZE)
    }

    #[inline(always)]
    fn map(&mut self) -> Result<(), MapError> {
        let (start, frames) = (self.start(), around(self.block.pfn()));
        let (scratch, tables) = (&mut self.machine.scratch, &mut self.machine.kernel.tables());
        scratch.map(start, frames, Protection::READ_WRITE, SIZE, tables)
    }

    #[inline(always)]
    fn change(&mut self) -> Result<(), ChangeError> {
        let start = self.start();
        let (scratch, frames) = (&mut self.machine.scratch, SIZE.frames());
        let pending = match self.operation {
            Operation::Remap(frame) => scratch.remap(start, around(frame))?,
            Operation::Protect => scratch.protect(start, frames, Protection::READ)?,
            Operation::Map | Operation::Unmap => scratch.unmap(start, frames)?,
        };
        pending.flush(&self.machine.kernel.tlb);
        Ok(())
    }

    fn protection(&self) -> Option<(PageSize, Protection)> {
        let leaf = self.machine.scratch.translate(self.start())?;
        Some((leaf.size(), leaf.protection()))
    }
}

impl Case for Gib<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        if self.operation != Operation::Map {
            self.map()?;
            // A translation that allows writing, which the operation has to drop.
            //
            // SAFETY: the frame is ours.
            unsafe { proof::write(self.page(), MARK)? };
        }
        Ok(())
    }

    fn operation(&mut self) {
        if self.operation == Operation::Map {
            if let Err(error) = self.map() {
                self.map = Err(error);
            }
        } else if let Err(error) = self.change() {
            self.change = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.map?;
        self.change?;
        let page = self.page();
        let expected = match self.operation {
            Operation::Map => {
                // SAFETY: the frame is ours.
                unsafe { proof::write(self.machine.frame_address(self.block.pfn()), MARK)? };
                expect_eq!("the page of the frame", proof::read(page)?, MARK);
                Some((SIZE, Protection::READ_WRITE))
            }
            Operation::Remap(frame) => {
                let expected = proof::read_frame(self.machine, frame);
                expect_eq!("the page after the remap", proof::read(page)?, expected);
                Some((SIZE, Protection::READ_WRITE))
            }
            Operation::Protect => {
                // SAFETY: the frame is ours.
                unsafe { proof::expect_read_only(page)? };
                Some((SIZE, Protection::READ))
            }
            Operation::Unmap => {
                proof::expect_fault(page, PageFaultError::empty())?;
                None
            }
        };
        expect_eq!("the leaf", self.protection(), expected);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if self.operation == Operation::Unmap {
            return Ok(());
        }
        let start = self.start();
        let pending = self.machine.scratch.unmap(start, SIZE.frames())?;
        pending.flush(&self.machine.kernel.tlb);
        Ok(())
    }
}
