//! 1 GiB leaves. The GiB of physical memory that a frame of the case lies in is mapped, and nothing but that frame is accessed
//! through the leaf.

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{FrameRange, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::Block;
use pagemark::mm::page_table::{ChangeError, MapError, Protection};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

const SIZE: PageSize = PageSize::Size1G;

/// What is done to the leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Map,
    Protect,
    Unmap,
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

    /// The GiB that the frame lies in.
    fn frames(&self) -> FrameRange {
        let first = Pfn(self.block.pfn().0 & !(SIZE.frames() - 1));
        first..first.add(SIZE.frames())
    }

    /// The frame's page in the leaf.
    fn page(&self) -> VirtAddr {
        let number = self.block.pfn().0 - self.frames().start.0;
        VirtAddr(self.start().0 + number * PAGE_SIZE)
    }

    #[inline(always)]
    fn map(&mut self) -> Result<(), MapError> {
        let (start, frames) = (self.start(), self.frames());
        let (table, mut tables) = self.machine.kernel.table_and_tables();
        table.map(start, frames, Protection::READ_WRITE, SIZE, &mut tables)
    }

    #[inline(always)]
    fn change(&mut self) -> Result<(), ChangeError> {
        let start = self.start();
        let kernel = &mut self.machine.kernel;
        let pending = if self.operation == Operation::Protect {
            kernel
                .table
                .protect(start, SIZE.frames(), Protection::READ)?
        } else {
            kernel.table.unmap(start, SIZE.frames())?
        };
        pending.flush(&kernel.tlb);
        Ok(())
    }

    fn protection(&self) -> Option<(PageSize, Protection)> {
        let leaf = self.machine.kernel.table.translate(self.start())?;
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
            unsafe { proof::write(self.page(), 0)? };
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
                let mark = 0x6769_6261_6279_7465;
                // SAFETY: the frame is ours.
                unsafe { proof::write(self.machine.frame_address(self.block.pfn()), mark)? };
                expect_eq!("the page of the frame", proof::read(page)?, mark);
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
        let kernel = &mut self.machine.kernel;
        let pending = kernel.table.unmap(start, SIZE.frames())?;
        pending.flush(&kernel.tlb);
        Ok(())
    }
}
