//! Map, unmap, protect and remap of a window, each with the flush that it owes under the policy of the run.

use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::page_table::{ChangeError, MapError};

use super::window::{Found, Shape, Window};
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

pub struct Map<'m, S>(pub Window<'m, S>, pub Result<(), MapError>);

impl<S: Shape> Case for Map<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.set_the_scene()
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.map() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.expect_leaves(self.0.plan().largest)?;
        self.0.expect_frames(0)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.unmap()?;
        self.0.clear_the_scene()
    }
}

pub struct Unmap<'m, S>(pub Window<'m, S>, pub Result<(), ChangeError>);

impl<S: Shape> Case for Unmap<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map()?;
        // Translations that the operation has to drop.
        self.0.expect_frames(0)?;
        self.0.set_the_scene()
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.unmap() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        expect_every_page_gone(&self.0)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.1?)
    }
}

/// Unmapping, after which the tables that the mapping had built go back to the cache.
pub struct UnmapWithTables<'m, S> {
    pub window: Window<'m, S>,
    pub tables: u64,
    pub outcome: Result<(), Failure>,
}

impl<S: Shape> Case for UnmapWithTables<'_, S> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.tables = 0;
        self.window.map()?;
        self.window.expect_frames(0)
    }

    fn operation(&mut self) {
        match self.window.unmap_with_tables() {
            Ok(tables) => self.tables = tables,
            Err(failure) => self.outcome = Err(failure),
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.outcome.clone()?;
        expect_every_page_gone(&self.window)?;
        let expected = match self.window.plan().found {
            Found::Built(tables) => tables,
            Found::Edited | Found::OtherEdited => 0,
        };
        expect_eq!("tables that left", self.tables, expected);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.outcome.clone()
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
        self.0.set_the_scene()
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
        self.0.unmap()?;
        self.0.clear_the_scene()
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
        self.0.set_the_scene()
    }

    fn operation(&mut self) {
        if let Err(error) = self.0.remap() {
            self.1 = Err(error);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.expect_frames(1)?;
        self.0.expect_leaves(self.0.plan().largest)
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.1?;
        self.0.unmap()?;
        self.0.clear_the_scene()
    }
}

fn expect_every_page_gone<S: Shape>(window: &Window<'_, S>) -> Result<(), Failure> {
    for number in 0..window.pages {
        proof::expect_fault(window.page(number), PageFaultError::empty())?;
    }
    Ok(())
}
