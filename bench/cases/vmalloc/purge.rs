//! What lazy freeing puts off: one flush for all areas that wait, and their addresses one by one.

use pagemark::cpu::probe::PageFaultError;
use pagemark::mm::address::{Pfn, VirtAddr};
use pagemark::mm::page_table::Protection;
use pagemark::mm::slots::Slots;
use pagemark::mm::vmalloc::{Area, AreaSearch, Contents, Freeing, Lazy, VfreeError, Waiting};

use super::Region;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::random::Random;

/// Most areas that wait.
pub(super) const MOST: usize = 256;

pub(super) struct Purge<'m, S, P> {
    pub(super) region: Region<'m, S, P>,
    /// What all of them map.
    pub(super) frame: Pfn,
    pub(super) areas: usize,
    /// Whether they are freed in random order.
    pub(super) shuffled: bool,
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
        if self.shuffled {
            shuffle(&mut areas);
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

/// Puts things into an order that is random, and the same each time.
pub(super) fn shuffle<T>(things: &mut [T]) {
    let mut random = Random::new();
    for last in (1..things.len()).rev() {
        things.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Areas of a page that are freed in random order until the pages that wait make a flush due.
pub(super) const LIMIT: usize = 1024;

/// The one call of all that costs most: the flush is due, or addresses go back.
pub(super) struct Longest<'m, S> {
    pub(super) region: Region<'m, S, Lazy>,
    /// What all of them map.
    pub(super) frame: Pfn,
    pub(super) areas: Slots<'m, Option<Area>>,
    /// Of the first areas, the one among them that is freed last: their translations have to be dropped.
    pub(super) starts: [VirtAddr; MOST],
    pub(super) outcome: Result<(), VfreeError>,
}

impl<S: AreaSearch<Contents = Contents>> Case for Longest<'_, S> {
    /// As many areas are freed as may wait; the next one is one too many.
    fn prepare(&mut self) -> Result<(), Failure> {
        let mut order: [u32; LIMIT + 1] = core::array::from_fn(|place| place as u32);
        shuffle(&mut order);
        for place in order {
            let (frames, protection) = ([self.frame], Protection::READ_WRITE);
            let mapped = self
                .region
                .vmalloc
                .vmap(&frames, protection, self.region.kernel)?;
            if let Some(start) = self.starts.get_mut(place as usize) {
                *start = mapped.start();
                proof::read(*start)?;
            }
            self.areas[place] = Some(mapped);
        }
        for place in 1..=LIMIT as u32 {
            if let Some(area) = self.areas[place].take() {
                self.region.vmalloc.vunmap(area, self.region.kernel)?;
            }
        }
        let waiting = self.region.vmalloc.waiting().pages;
        expect_eq!("pages that wait", waiting, LIMIT as u64);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.areas[0].take() {
            self.outcome = self.region.vmalloc.vunmap(area, self.region.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let waiting = self.region.vmalloc.waiting();
        expect_eq!("pages that wait", waiting.pages, 0);
        for &start in &self.starts {
            proof::expect_fault(start, PageFaultError::empty())?;
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.region.vmalloc.purge(self.region.kernel);
        Ok(self.outcome?)
    }
}
