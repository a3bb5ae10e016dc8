//! Split and collapse of a 2 MiB leaf, with the flush.
//!
//! What is mapped stays the same, so a flush that is left out shows only in what comes after: the page gets another frame, without
//! a flush, and has to show it at once, as no translation of it may be cached.

use pagemark::mm::address::PageSize;
use pagemark::mm::page_table::{OldTable, ResizeError};

use super::window::{Contiguous, Window};
use crate::harness::case::{Case, Failure};

/// A page in the midst of the leaf.
const PAGE: u64 = 300;

pub struct Split<'m>(pub Window<'m, Contiguous>, pub Result<(), ResizeError>);

impl Case for Split<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        self.0.expect_leaves(PageSize::Size2M)?;
        self.0.expect_frame(0, PAGE)
    }

    fn operation(&mut self) {
        let start = self.0.start;
        let (scratch, kernel) = (&mut self.0.machine.scratch, &mut self.0.machine.kernel);
        match scratch.split(start, &mut kernel.tables()) {
            Ok(pending) => pending.flush(&kernel.tlb),
            Err(error) => self.1 = Err(error),
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.expect_leaves(PageSize::Size4K)?;
        self.0.remap_page_without_flush(PAGE)?;
        self.0.expect_frame(1, PAGE)?;
        for page in (0..self.0.pages).filter(|&page| page != PAGE) {
            self.0.expect_frame(0, page)?;
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.unmap()?;
        self.0.release_tables()?;
        Ok(())
    }
}

/// The table that a collapse puts out of work is cleared and given back outside the bracket.
pub struct Collapse<'m> {
    pub window: Window<'m, Contiguous>,
    pub old: Option<OldTable>,
    pub outcome: Result<(), ResizeError>,
}

impl Case for Collapse<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.window.map()?;
        self.window.expect_leaves(PageSize::Size2M)?;
        let machine = &mut *self.window.machine;
        machine
            .scratch
            .split(self.window.start, &mut machine.kernel.tables())?
            .flush(&machine.kernel.tlb);
        self.window.expect_frame(0, PAGE)
    }

    fn operation(&mut self) {
        let start = self.window.start;
        let kernel = &mut self.window.machine.kernel;
        let scratch = &mut self.window.machine.scratch;
        match scratch.collapse(start, PageSize::Size2M) {
            Ok(pending) => self.old = Some(pending.flush(&kernel.tlb)),
            Err(error) => self.outcome = Err(error),
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome?;
        self.window.expect_leaves(PageSize::Size2M)?;
        self.window.remap_without_flush()?;
        self.window.expect_frame(1, PAGE)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome?;
        self.window.unmap()?;
        if let Some(old) = self.old.take() {
            let tables = self.window.machine.scratch.clear(old);
            self.window.machine.kernel.free_tables(tables)?;
        }
        self.window.release_tables()?;
        Ok(())
    }
}
