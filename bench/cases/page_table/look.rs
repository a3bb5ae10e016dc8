//! Looking at the tables: what an address is mapped to, and which pages were used.

use pagemark::mm::address::{PageSize, PhysAddr, VirtAddr};
use pagemark::mm::page_table::{ChangeError, Protection, Translation};

use super::window::{Contiguous, Shape, Window};
use crate::harness::case::{Case, Failure, expect_eq};

/// Translating an address in a 4 KiB page.
pub struct Translate<'m> {
    pub window: Window<'m, Contiguous>,
    address: VirtAddr,
    found: Option<Translation>,
}

/// Where in the page.
const OFFSET: u64 = 0x123;

impl<'m> Translate<'m> {
    pub const fn new(window: Window<'m, Contiguous>) -> Self {
        Translate {
            address: VirtAddr(window.start.0 + OFFSET),
            window,
            found: None,
        }
    }
}

impl Case for Translate<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.found = None;
        self.window.map()?;
        self.window.set_the_scene()
    }

    fn operation(&mut self) {
        self.found = self.window.machine.scratch.translate(self.address);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let frame = PhysAddr(self.window.frame(0).address().0 + OFFSET);
        let expected = Translation::new(frame, PageSize::Size4K, Protection::READ_WRITE);
        expect_eq!("the translation", self.found, Some(expected));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.window.unmap()?)
    }
}

/// Finding out which pages were used, and starting over.
pub struct Harvest<'m, S> {
    pub window: Window<'m, S>,
    /// Pages that had been written to.
    pub dirty: u64,
    pub outcome: Result<(), ChangeError>,
}

impl<S: Shape> Harvest<'_, S> {
    #[inline(always)]
    fn harvest(&mut self) -> Result<(), ChangeError> {
        let (start, pages) = (self.window.start, self.window.pages);
        let (mut dirty, machine) = (0, &mut *self.window.machine);
        let pending = machine
            .scratch
            .harvest(start, pages, |_, usage| dirty += u64::from(usage.dirty))?;
        pending.flush(&machine.kernel.tlb);
        self.dirty = dirty;
        Ok(())
    }
}

impl<S: Shape> Case for Harvest<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.dirty = 0;
        self.window.map()?;
        for number in 0..self.window.pages {
            self.window.write(number)?;
        }
        Ok(())
    }

    fn operation(&mut self) {
        if let Err(error) = self.harvest() {
            self.outcome = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome?;
        let pages = self.window.pages;
        expect_eq!("dirty pages at first", self.dirty, pages);
        // A translation that was kept would let the write pass without setting the bit.
        self.window.write(pages - 1)?;
        self.harvest()?;
        expect_eq!("dirty pages after one write", self.dirty, 1);
        self.harvest()?;
        expect_eq!("dirty pages after none", self.dirty, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome?;
        Ok(self.window.unmap()?)
    }
}
