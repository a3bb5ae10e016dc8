//! Pages in the scratch region, the frames behind them, and what each operation of a page table does to them.

use core::marker::PhantomData;

use arrayvec::ArrayVec;
use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::{ChangeError, Frames, MapError, NoOtherRoot, Protection, Runs};

use crate::cases::proof;
use crate::harness::case::{Failure, expect_eq};

/// Most blocks behind a window.
const BLOCKS: usize = 4;
/// Most scattered frames.
const SCATTERED: usize = 512;

/// The frames behind a window.
pub struct Backing {
    blocks: ArrayVec<Block, BLOCKS>,
    /// The frames of the first block, none of which continues the one before it.
    scattered: [Pfn; SCATTERED],
}

impl Backing {
    fn new(machine: &mut Machine, pages: u64) -> Result<Self, Failure> {
        let order = Order::for_frames(pages).unwrap_or(Order::MAX);
        let mut blocks = ArrayVec::new();
        while blocks.len() as u64 * order.frames() < pages {
            blocks.push(machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?);
        }
        let first = blocks[0].pfn();
        // An odd factor makes a permutation of any power of two.
        let scattered = |at| first.add(at as u64 * 205 % order.frames().min(SCATTERED as u64));
        Ok(Backing {
            scattered: core::array::from_fn(scattered),
            blocks,
        })
    }

    fn free(self, machine: &mut Machine) -> Result<(), Failure> {
        for block in self.blocks {
            machine.kernel.frames.free(block)?;
        }
        Ok(())
    }
}

/// How frames are handed to the page table.
pub trait Shape {
    /// The first `pages` frames.
    fn frames(backing: &Backing, pages: u64) -> impl Frames;

    /// The frame of one page.
    fn frame(backing: &Backing, page: u64) -> Pfn;
}

/// One range.
pub struct Contiguous;
/// A slice.
pub struct Scattered;
/// The blocks one after the other.
pub struct InBlocks;

impl Shape for Contiguous {
    #[inline(always)]
    fn frames(backing: &Backing, pages: u64) -> impl Frames {
        let first = backing.blocks[0].pfn();
        first..first.add(pages)
    }

    fn frame(backing: &Backing, page: u64) -> Pfn {
        backing.blocks[0].pfn().add(page)
    }
}

impl Shape for Scattered {
    #[inline(always)]
    fn frames(backing: &Backing, pages: u64) -> impl Frames {
        &backing.scattered[..pages as usize]
    }

    fn frame(backing: &Backing, page: u64) -> Pfn {
        backing.scattered[page as usize]
    }
}

impl Shape for InBlocks {
    #[inline(always)]
    fn frames(backing: &Backing, pages: u64) -> impl Frames {
        let blocks = backing.blocks.iter();
        Runs::new(
            blocks.map(|block| (block.pfn(), block.order().frames())),
            pages,
        )
    }

    fn frame(backing: &Backing, page: u64) -> Pfn {
        let frames = backing.blocks[0].order().frames();
        let block = &backing.blocks[(page / frames) as usize];
        block.pfn().add(page % frames)
    }
}

/// What an operation finds of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// They are there, and one PT is the one that was edited last.
    Edited,
    /// They are there, and another PT was edited last.
    OtherEdited,
    /// The mapping builds this number of tables, and the unmapping takes them out: each mapping is the first in them.
    Built(u64),
}

/// A window of `pages` pages, mapped by leaves of up to `largest`.
#[derive(Clone, Copy)]
pub struct Plan {
    pub pages: u64,
    pub largest: PageSize,
    pub found: Found,
}

impl Plan {
    /// Where the tables are there.
    pub const fn new(pages: u64, largest: PageSize) -> Self {
        Plan {
            pages,
            largest,
            found: Found::Edited,
        }
    }
}

/// Pages, and frames for them twice, so that there are some to be remapped to.
pub struct Window<'m, S> {
    pub machine: &'m mut Machine,
    pub start: VirtAddr,
    pub pages: u64,
    plan: Plan,
    backing: [Backing; 2],
    shape: PhantomData<S>,
}

impl<'m, S: Shape> Window<'m, S> {
    /// A window at the start of the scratch region, with none of its tables there.
    pub fn new(machine: &'m mut Machine, plan: Plan) -> Result<Self, Failure> {
        let pages = plan.pages;
        let backing = [Backing::new(machine, pages)?, Backing::new(machine, pages)?];
        let start = machine.layout.scratch.start;
        let mut window = Window {
            machine,
            start,
            pages,
            plan,
            backing,
            shape: PhantomData,
        };
        window.release_tables()?;
        Ok(window)
    }

    /// Takes all empty tables of the scratch region out of the page table. Returns how many there were.
    pub fn release_tables(&mut self) -> Result<u64, Failure> {
        let (scratch, kernel) = (&mut self.machine.scratch, &mut self.machine.kernel);
        let (start, pages) = (scratch.start(), scratch.pages());
        // SAFETY: no other root is in use.
        let alone = unsafe { NoOtherRoot::promise() };
        let tables = scratch.release_tables_of_root(start, pages, alone)?;
        let tables = tables.flush(&kernel.tlb);
        let count = tables.count();
        kernel.free_tables(tables)?;
        Ok(count)
    }

    /// Brings about what the operation is to find of the tables. The last step before it.
    pub fn set_the_scene(&mut self) -> Result<(), Failure> {
        if self.plan.found != Found::OtherEdited {
            return Ok(());
        }
        // The PT behind that of the last page.
        let page = VirtAddr((self.page(self.pages).0 | (PageSize::Size2M.bytes() - 1)) + 1);
        let frame = self.frame(0);
        let (scratch, kernel) = (&mut self.machine.scratch, &mut self.machine.kernel);
        let (frames, size) = (frame..frame.add(1), PageSize::Size4K);
        let protection = Protection::READ_WRITE;
        scratch.map(page, frames, protection, size, &mut kernel.tables())?;
        scratch.unmap(page, 1)?.flush(&kernel.tlb);
        Ok(())
    }

    /// Leaves the tables of the window, which is unmapped, as the next operation is to find them.
    pub fn clear_the_scene(&mut self) -> Result<(), Failure> {
        if let Found::Built(expected) = self.plan.found {
            let built = self.release_tables()?;
            expect_eq!("tables that were built", built, expected);
        }
        Ok(())
    }

    #[inline(always)]
    pub fn map(&mut self) -> Result<(), MapError> {
        let frames = S::frames(&self.backing[0], self.pages);
        let (protection, largest) = (Protection::READ_WRITE, self.plan.largest);
        let (scratch, tables) = (&mut self.machine.scratch, &mut self.machine.kernel.tables());
        scratch.map(self.start, frames, protection, largest, tables)
    }

    #[inline(always)]
    pub fn unmap(&mut self) -> Result<(), ChangeError> {
        let pending = self.machine.scratch.unmap(self.start, self.pages)?;
        pending.flush(&self.machine.kernel.tlb);
        Ok(())
    }

    /// Unmaps, and gives the tables back that the mapping had built, under one flush. Returns how many those were.
    #[inline(always)]
    pub fn unmap_with_tables(&mut self) -> Result<u64, Failure> {
        let (scratch, kernel) = (&mut self.machine.scratch, &mut self.machine.kernel);
        let pages = scratch.unmap(self.start, self.pages)?;
        let (start, all) = (scratch.start(), scratch.pages());
        // SAFETY: no other root is in use.
        let alone = unsafe { NoOtherRoot::promise() };
        let tables = scratch.release_tables_of_root(start, all, alone)?;
        let tables = tables.merge(pages).flush(&kernel.tlb);
        let count = tables.count();
        kernel.free_tables(tables)?;
        Ok(count)
    }

    #[inline(always)]
    pub fn protect(&mut self) -> Result<(), ChangeError> {
        let (scratch, protection) = (&mut self.machine.scratch, Protection::READ);
        let pending = scratch.protect(self.start, self.pages, protection)?;
        pending.flush(&self.machine.kernel.tlb);
        Ok(())
    }

    /// Remaps to the second set of frames.
    #[inline(always)]
    pub fn remap(&mut self) -> Result<(), ChangeError> {
        let frames = S::frames(&self.backing[1], self.pages);
        let pending = self.machine.scratch.remap(self.start, frames)?;
        pending.flush(&self.machine.kernel.tlb);
        Ok(())
    }

    /// Puts the frame of one page's second set behind it, without a flush: a translation of it that is still cached then shows.
    pub fn remap_page_without_flush(&mut self, page: u64) -> Result<(), Failure> {
        let frame = S::frame(&self.backing[1], page);
        let address = self.page(page);
        drop(self.machine.scratch.remap(address, frame..frame.add(1))?);
        Ok(())
    }

    /// The same of the whole window.
    pub fn remap_without_flush(&mut self) -> Result<(), Failure> {
        let frames = S::frames(&self.backing[1], self.pages);
        drop(self.machine.scratch.remap(self.start, frames)?);
        Ok(())
    }

    /// The frame of a page of the first set.
    pub fn frame(&self, page: u64) -> Pfn {
        S::frame(&self.backing[0], page)
    }

    /// The frame of a page of the second set.
    pub fn second_frame(&self, page: u64) -> Pfn {
        S::frame(&self.backing[1], page)
    }

    /// Writes to a page.
    pub fn write(&self, number: u64) -> Result<(), Failure> {
        // SAFETY: the block behind it is ours.
        unsafe { proof::write(self.page(number), number) }
    }

    pub const fn page(&self, number: u64) -> VirtAddr {
        VirtAddr(self.start.0 + number * PAGE_SIZE)
    }

    /// Expects each page to show its frame of a set, as what is written there through the direct map says.
    pub fn expect_frames(&self, set: usize) -> Result<(), Failure> {
        // The last page first: its stale translation is the one that the TLB would hold longest.
        for number in (0..self.pages).rev() {
            self.expect_frame(set, number)?;
        }
        proof::expect_fault(self.page(self.pages), PageFaultError::empty())
    }

    /// Expects one page to show its frame of a set.
    pub fn expect_frame(&self, set: usize, number: u64) -> Result<(), Failure> {
        let mark = 0x6d61_7070_6564_0000 + ((set as u64) << 16) + number;
        let frame = S::frame(&self.backing[set], number);
        // SAFETY: the block is ours.
        unsafe { proof::write(self.machine.frame_address(frame), mark)? };
        let found = proof::read(self.page(number))?;
        expect_eq!("a mapped page", found, mark);
        Ok(())
    }

    /// Expects the window to be mapped by leaves of one size.
    pub fn expect_leaves(&self, size: PageSize) -> Result<(), Failure> {
        for number in (0..self.pages).step_by(size.frames() as usize) {
            let found = self.machine.scratch.translate(self.page(number));
            expect_eq!("a leaf", found.map(|leaf| leaf.size()), Some(size));
        }
        Ok(())
    }

    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// Leaves nothing behind.
    pub fn end(mut self) -> Result<(), Failure> {
        self.release_tables()?;
        for backing in self.backing {
            backing.free(self.machine)?;
        }
        Ok(())
    }
}
