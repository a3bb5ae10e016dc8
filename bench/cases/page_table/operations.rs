//! Map, unmap, protect and remap of a window, each with the flush that it owes under the policy of the run.

use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::page_table::{ChangeError, MapError};

use super::window::{Shape, Window};
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

/// Mapping, in tables that are there (`build` is `None`) or that have to be built, so many.
pub struct Map<'m, S> {
    pub window: Window<'m, S>,
    pub build: Option<u64>,
    pub outcome: Result<(), MapError>,
}

impl<S: Shape> Case for Map<'_, S> {
    fn operation(&mut self) {
        if let Err(error) = self.window.map() {
            self.outcome = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome?;
        self.window.expect_leaves(self.window.largest())?;
        self.window.expect_frames(0)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome?;
        self.window.unmap()?;
        if let Some(expected) = self.build {
            let built = self.window.release_tables()?;
            expect_eq!("tables that were built", built, expected);
        }
        Ok(())
    }
}

pub struct Unmap<'m, S>(pub Window<'m, S>, pub Result<(), ChangeError>);

impl<S: Shape> Case for Unmap<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations that the operation has to drop.
        self.0.expect_frames(0)
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.unmap() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        for number in 0..self.0.pages {
            proof::expect_fault(self.0.page(number), PageFaultError::empty())?;
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.1?)
    }
}

pub struct Protect<'m, S>(pub Window<'m, S>, pub Result<(), ChangeError>);

impl<S: Shape> Case for Protect<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations that allow writing, which the operation has to drop.
        for number in 0..self.0.pages {
            self.0.write(number)?;
        }
        Ok(())
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.protect() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        // The last page first: its stale translation is the one that the TLB would hold longest.
        for number in (0..self.0.pages).rev() {
            let page = self.0.page(number);
            // SAFETY: a page that can be written to after all is ours.
            unsafe { proof::expect_read_only(page)? };
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        Ok(self.0.unmap()?)
    }
}

pub struct Remap<'m, S>(pub Window<'m, S>, pub Result<(), ChangeError>);

impl<S: Shape> Case for Remap<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations to the frames from before, which the operation has to drop; that of the last page, which the proof looks at
        // first, is the youngest.
        self.0.expect_frames(0)?;
        proof::read(self.0.page(self.0.pages - 1))?;
        Ok(())
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.remap() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.expect_frames(1)?;
        self.0.expect_leaves(self.0.largest())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        Ok(self.0.unmap()?)
    }
}
