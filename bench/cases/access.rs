//! Loads through the direct map, through vmalloc's 4 KiB pages and through its 2 MiB pages: the reach of the TLB shows as steps.
//!
//! Each load has the address of the next in it, so that none can begin before the one before it is done. The pages come one after
//! the other in an order that looks random, as a TLB may fetch ahead; within the pages the words lie on lines of all sets of the caches
//! ([`spread`]).

use core::fmt::Write;
use core::mem::MaybeUninit;

use arrayvec::ArrayString;
use pagemark::machine::{Machine, pages_of};
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::vmalloc::{Area, Request};
use pagemark_bracket::spread;
use pagemark_record::Class;

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// log2 of the most pages: 32 MiB.
const LARGEST: u32 = 13;
/// Those that the quick suite has: log2 of pages.
const QUICK: [u32; 4] = [0, 6, 9, LARGEST];
/// Loads of an operation.
const LOADS: u64 = 1024;

/// A chain of words, one in each page.
struct Loads {
    start: VirtAddr,
    /// The word that comes next.
    at: VirtAddr,
    done: bool,
}

impl Case for Loads {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.at = self.start;
        self.done = false;
        Ok(())
    }

    fn operation(&mut self) {
        let mut at = self.at.0;
        for _ in 0..LOADS {
            // SAFETY: each word of the chain is the address of another.
            at = unsafe { (at as *const u64).read_volatile() };
        }
        self.at = VirtAddr(at);
        self.done = true;
    }

    fn batch(&self) -> u32 {
        16
    }

    fn class(&self) -> Class {
        Class::Latency
    }

    fn link(&self) -> MaybeUninit<u64> {
        MaybeUninit::new(self.at.0)
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("the loads are done", self.done, true);
        let mut at = self.start;
        for _ in 0..LOADS {
            at = VirtAddr(proof::read(at)?);
        }
        expect_eq!("the word after the last load", self.at, at);
        Ok(())
    }
}

/// Makes a chain through the first `pages` pages, a power of two, whose addresses `page` gives. Returns its first word.
fn chain(pages: u64, page: impl Fn(u64) -> Result<VirtAddr, Failure>) -> Result<VirtAddr, Failure> {
    let word = |number| page(number).map(|start| VirtAddr(start.0 + spread::offset(number)));
    let first = word(0)?;
    let mut number = 0;
    for _ in 0..pages {
        // A linear congruence modulo a power of two takes every number once (Hull and Dobell).
        let next = (number * 1_664_525 + 1_013_904_223) % pages;
        // SAFETY: the page is the caller's.
        unsafe { proof::write(word(number)?, word(next)?.0)? };
        number = next;
    }
    expect_eq!("the end of the chain", number, 0);
    Ok(first)
}

/// Which way the loads take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    DirectMap,
    Area,
}

fn measure(
    machine: &Machine,
    run: &mut Run,
    what: &str,
    area: &Area,
    way: Way,
) -> Result<(), Failure> {
    let pages_of_area = match pages_of(area) {
        Ok(pages) => pages,
        Err(reason) => {
            let mut name = ArrayString::<48>::new();
            let _ = write!(name, "access/{what}/pages=1");
            run.skip(&name, reason);
            return Ok(());
        }
    };
    for log2 in 0..=LARGEST {
        let pages = 1 << log2;
        let mut name = ArrayString::<48>::new();
        // Never longer than that.
        let _ = write!(name, "access/{what}/pages={pages}");
        let tier = if QUICK.contains(&log2) {
            Tier::Quick
        } else {
            Tier::Full
        };
        run.in_tier(tier, |run| {
            if !run.would(&name) {
                return Ok::<(), Failure>(());
            }
            let start = chain(pages, |number| {
                if way == Way::Area {
                    return Ok(VirtAddr(pages_of_area.0 + number * PAGE_SIZE));
                }
                let address = VirtAddr(area.start().0 + number * PAGE_SIZE);
                let frame = machine.vmalloc.vmalloc_to_page(address);
                let frame = frame.ok_or(Failure::new(format_args!("{address} has no frame")))?;
                Ok(machine.frame_address(frame))
            })?;
            run.measure(
                &name,
                &mut Loads {
                    start,
                    at: start,
                    done: false,
                },
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// Two areas: one of 4 KiB pages, whose frames are loaded from through the direct map, too, and one of 2 MiB pages.
fn both(machine: &mut Machine, run: &mut Run) -> Result<(), Failure> {
    const BYTES: u64 = PAGE_SIZE << LARGEST;
    let small = Request::new(BYTES).gfp(Gfp::KERNEL);
    let small = machine.vmalloc.vmalloc_with(small, &mut machine.kernel)?;
    let outcome = measure(machine, run, "direct_map", &small, Way::DirectMap)
        .and_then(|()| measure(machine, run, "vmalloc", &small, Way::Area));
    machine.vmalloc.vfree(small, &mut machine.kernel)?;
    outcome?;
    let huge = Request::new(BYTES).gfp(Gfp::KERNEL).huge();
    let huge = machine.vmalloc.vmalloc_with(huge, &mut machine.kernel)?;
    let outcome = measure(machine, run, "vmalloc_huge", &huge, Way::Area);
    machine.vmalloc.vfree(huge, &mut machine.kernel)?;
    outcome
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    // Twice what an area takes, so that no other case has too little.
    let needed = 2 * (1 << LARGEST);
    if machine.kernel.frames.free_frames() < needed {
        for name in [
            "access/direct_map/pages=1",
            "access/vmalloc/pages=1",
            "access/vmalloc_huge/pages=1",
        ] {
            run.skip(name, "too little memory: 64 MiB are needed");
        }
        return;
    }
    if let Err(failure) = both(machine, run) {
        run.check("access", Err(failure));
    }
}
