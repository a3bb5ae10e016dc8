//! What an entry's bits cost the CPU beside the walk: setting the accessed and the dirty bit, which takes a locked write to the page table.
//!
//! Each operation uses another page that the TLB does not have. `bit=clear` has the bit to set, `bit=set` is the same walk without it: the
//! difference is the assist. Nothing that a manual says gives its cost.

use pagemark::cpu::invalidate::flush_everything;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::{Protection, Usage};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// Pages, each used once in a sample.
const PAGES: u64 = 64;
/// What the pages hold, and what is written to them.
const OLD: u64 = 0x6173_7369_7374_0000;
const NEW: u64 = 0x6173_7369_7374_0001;

const NAMES: [&str; 4] = [
    "assist/accessed/bit=clear",
    "assist/accessed/bit=set",
    "assist/dirty/bit=clear",
    "assist/dirty/bit=set",
];

/// The first use of a page, a write if `WRITE`.
struct Use<'m, const WRITE: bool> {
    machine: &'m mut Machine,
    start: VirtAddr,
    block: Block,
    /// The bit is set before.
    set: bool,
    next: u64,
    seen: u64,
}

impl<const WRITE: bool> Use<'_, WRITE> {
    fn word(&self, page: u64) -> *mut u64 {
        (self.start.0 + page % PAGES * PAGE_SIZE) as *mut u64
    }

    /// Clears the bits of all pages, and returns those that page 0 had.
    fn clear_bits(&mut self) -> Result<(bool, bool), Failure> {
        let (start, mut found) = (self.start, (false, false));
        let visit = |page, usage: Usage| {
            if page == start {
                found = (usage.accessed, usage.dirty);
            }
        };
        let owed = self.machine.scratch.harvest(start, PAGES, visit)?;
        owed.flush(&self.machine.kernel.tlb);
        Ok(found)
    }
}

impl<const WRITE: bool> Case for Use<'_, WRITE> {
    fn prepare(&mut self) -> Result<(), Failure> {
        (self.next, self.seen) = (0, 0);
        for page in 0..PAGES {
            // SAFETY: the pages are mapped to frames of ours.
            unsafe { self.word(page).write_volatile(OLD) };
        }
        self.clear_bits()?;
        // A write needs the accessed bit, too: it is the dirty one that it is about.
        for page in 0..PAGES {
            match (self.set, WRITE) {
                // SAFETY: as above.
                (true, true) => unsafe { self.word(page).write_volatile(OLD) },
                (true, false) | (false, true) => {
                    // SAFETY: as above.
                    unsafe { self.word(page).read_volatile() };
                }
                (false, false) => {}
            }
        }
        flush_everything();
        Ok(())
    }

    fn operation(&mut self) {
        let word = self.word(self.next);
        match WRITE {
            // SAFETY: as in `prepare`.
            true => unsafe { word.write_volatile(NEW) },
            // SAFETY: as in `prepare`.
            false => self.seen = unsafe { word.read_volatile() },
        }
        self.next += 1;
    }

    fn batch(&self) -> u32 {
        PAGES as u32 / 2
    }

    fn verify(&mut self) -> Result<(), Failure> {
        if WRITE {
            let frame = self.machine.frame_address(self.block.pfn());
            expect_eq!("the frame's word", proof::read(frame)?, NEW);
        } else {
            expect_eq!("the page's word", self.seen, OLD);
        }
        expect_eq!("accessed and dirty", self.clear_bits()?, (true, WRITE));
        Ok(())
    }
}

fn measure<const WRITE: bool>(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    set: bool,
) -> Result<(), Failure> {
    let order = Order::for_frames(PAGES).ok_or(Failure::new(format_args!("no such order")))?;
    let block = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
    let start = machine.layout.scratch.start;
    let frames = block.pfn()..block.pfn().add(PAGES);
    let (access, size) = (Protection::READ_WRITE, PageSize::Size4K);
    let (scratch, tables) = (&mut machine.scratch, &mut machine.kernel.tables());
    scratch.map(start, frames, access, size, tables)?;
    let mut case = Use::<WRITE> {
        machine,
        start,
        block,
        set,
        next: 0,
        seen: 0,
    };
    run.measure(name, &mut case);
    let Use { machine, block, .. } = case;
    let kernel = &mut machine.kernel;
    machine.scratch.unmap(start, PAGES)?.flush(&kernel.tlb);
    kernel.frames.free(block)?;
    Ok(())
}

/// The cases of the full suite.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        for (number, name) in NAMES.into_iter().enumerate() {
            if !run.would(name) {
                continue;
            }
            let set = number % 2 == 1;
            let outcome = match number < 2 {
                true => measure::<false>(machine, run, name, set),
                false => measure::<true>(machine, run, name, set),
            };
            if let Err(failure) = outcome {
                run.check(name, Err(failure));
            }
        }
    });
}
