//! The swap map: two bytes for each page of a swap area, which say how often the page is used. `swapon` takes it from vmalloc,
//! as it is far too large for the buddy: 512 KiB for 1 GiB of swap.

use pagemark::machine::{Machine, WITHOUT_RING_0, pages_of};
use pagemark::mm::address::PAGE_SIZE;
use pagemark::mm::vmalloc::{Area, VfreeError, VmallocError};

use super::ACCESSES_ITS_AREA;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::random::Random;
use crate::harness::run::Run;

/// Pages of 1 GiB of swap, and bytes of their map.
const SWAP_PAGES: usize = (1 << 30) / PAGE_SIZE as usize;
const MAP_BYTES: u64 = (SWAP_PAGES * size_of::<u16>()) as u64;
/// Uses counted in one sample.
const INCREMENTS: u64 = 1000;

/// The counts that an area holds.
///
/// # Safety
///
/// The area is a swap map, in use by nobody else, and every word of it has been written.
unsafe fn counts(area: &mut Area) -> &mut [u16] {
    let pages = pages_of(area).unwrap_or_else(|reason| panic!("{reason}"));
    // SAFETY: the caller's promise; the area is mapped, readable and writable, and page-aligned.
    unsafe { core::slice::from_raw_parts_mut(pages.0 as *mut u16, SWAP_PAGES) }
}

/// Takes a map and fills it with zeros.
fn swapon(machine: &mut Machine) -> Result<Area, VmallocError> {
    let mut area = machine.vmalloc.vmalloc(MAP_BYTES, &mut machine.kernel)?;
    // SAFETY: the area has just been made; any bits are valid counts.
    unsafe { counts(&mut area) }.fill(0);
    Ok(area)
}

struct SwapOn<'m> {
    machine: &'m mut Machine,
    area: Option<Result<Area, VmallocError>>,
}

impl Case for SwapOn<'_> {
    fn operation(&mut self) {
        self.area = Some(swapon(self.machine));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let Some(Ok(area)) = &mut self.area else {
            return Err(Failure::new(format_args!("no swap map was made")));
        };
        // SAFETY: the map is the case's.
        let counts = unsafe { counts(area) };
        let used = counts.iter().position(|&count| count != 0);
        expect_eq!("a page in use in the new map", used, None);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(area) = self.area.take() {
            self.machine
                .vmalloc
                .vfree(area?, &mut self.machine.kernel)?;
        }
        Ok(())
    }
}

/// Counts uses of pages at random, as `swap_duplicate` does.
struct Duplicate<'a> {
    counts: &'a mut [u16],
}

impl Case for Duplicate<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.counts.fill(0);
        Ok(())
    }

    fn operation(&mut self) {
        let mut random = Random::new();
        for _ in 0..INCREMENTS {
            self.counts[random.below(SWAP_PAGES as u64) as usize] += 1;
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let uses: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        expect_eq!("uses counted", uses, INCREMENTS);
        Ok(())
    }
}

struct SwapOff<'m> {
    machine: &'m mut Machine,
    area: Option<Area>,
    outcome: Result<(), VfreeError>,
    free_before: u64,
}

impl SwapOff<'_> {
    fn frames(&self) -> u64 {
        self.machine.kernel.free_frames() + self.machine.kernel.table_frames()
    }
}

impl Case for SwapOff<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.free_before = self.frames();
        self.area = Some(swapon(self.machine)?);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.area.take() {
            self.outcome = self.machine.vmalloc.vfree(area, &mut self.machine.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("free frames", self.frames(), self.free_before);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        // Left out of the operation, the map is still there.
        self.operation();
        Ok(self.outcome?)
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let name = "swap_map/swapon/swap=1GiB";
    match WITHOUT_RING_0 {
        Some(_) => run.skip(name, ACCESSES_ITS_AREA),
        None => run.measure(
            name,
            &mut SwapOn {
                machine,
                area: None,
            },
        ),
    }
    let name = "swap_map/duplicate/uses=1000";
    if run.would(name) {
        let outcome = duplicate(machine, run, name);
        if outcome.is_err() {
            run.check(name, outcome);
        }
    }
    let mut case = SwapOff {
        machine,
        area: None,
        outcome: Ok(()),
        free_before: 0,
    };
    run.measure("swap_map/swapoff/swap=1GiB", &mut case);
}

fn duplicate(machine: &mut Machine, run: &mut Run, name: &str) -> Result<(), Failure> {
    let mut area = swapon(machine)?;
    // SAFETY: the map is ours, and was filled.
    let counts = unsafe { counts(&mut area) };
    run.measure(name, &mut Duplicate { counts });
    Ok(machine.vmalloc.vfree(area, &mut machine.kernel)?)
}
