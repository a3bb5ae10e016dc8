//! What lazy freeing puts off: one flush for all areas that wait, and their addresses one by one.

use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::address::{Pfn, VirtAddr};
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, AreaSearch, Contents, Freeing, Waiting};

use super::Region;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

/// Most areas that wait.
pub(super) const MOST: usize = 256;

pub(super) struct Purge<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    /// What all of them map.
    pub(super) frame: Pfn,
    pub(super) areas: usize,
    pub(super) starts: [VirtAddr; MOST],
    pub(super) purged: Waiting,
}

impl<S: AreaSearch<Contents = Contents>, P: Freeing> Case for Purge<'_, S, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.region.vmalloc.purge(self.region.kernel);
        let mut areas = [const { None::<Area> }; MOST];
        for (area, start) in areas.iter_mut().zip(&mut self.starts).take(self.areas) {
            let (frames, protection) = ([self.frame], Protection::READ_WRITE);
            let mapped = self
                .region
                .vmalloc
                .vmap(&frames, protection, self.region.kernel)?;
            *start = mapped.start();
            // A translation that has to be dropped.
            proof::read(*start)?;
            *area = Some(mapped);
        }
        for area in areas.into_iter().flatten() {
            self.region.vmalloc.vunmap(area, self.region.kernel)?;
        }
        self.purged = Waiting::default();
        Ok(())
    }

    fn operation(&mut self) {
        self.purged = self.region.vmalloc.purge(self.region.kernel);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("areas purged", self.purged.areas, self.areas);
        expect_eq!("areas that wait", self.region.vmalloc.waiting().areas, 0);
        for &start in &self.starts[..self.areas] {
            proof::expect_fault(start, PageFaultError::empty())?;
        }
        Ok(())
    }
}
