//! A flush, and the loads that fill the TLB in again with the translations that it dropped.
//!
//! Each page's word lies on a line of its own, the frames are scattered, and the pages are read in an order that leaps ([`spread`]): what is
//! left is the walks. `frames=contiguous`: frames one after the other, whose translations some CPUs merge.

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use pagemark::cpu::invalidate::LocalTlb;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::{PendingFlush, Tlb};
use pagemark_bracket::spread;

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// log2 of the most pages.
pub(super) const LARGEST: u8 = 9;
/// Those that the quick suite has: log2 of pages.
pub(super) const QUICK: [u8; 4] = [0, 3, 6, 9];

/// The most pages.
const MOST: usize = 1 << LARGEST;

/// The frames behind the pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Scattered,
    Contiguous,
}

/// Pages that are flushed and touched again. There are two frames for each, so that a proof can see which of them is read.
struct Refill<'m> {
    machine: &'m mut Machine,
    start: VirtAddr,
    pages: u64,
    step: u64,
    block: Block,
    /// Both halves of the frames, page by page.
    frames: [[Pfn; MOST]; 2],
    /// Which half of the frames the pages are mapped to.
    half: u64,
    tlb: Tlb<LocalTlb>,
    sum: u64,
}

const fn mark(half: u64, page: u64) -> u64 {
    (half + 1) << 32 | page
}

impl<'m> Refill<'m> {
    fn new(
        machine: &'m mut Machine,
        pages: u64,
        ceiling: u64,
        behind: Behind,
    ) -> Result<Self, Failure> {
        let order = Order::for_frames(2 * pages);
        let order = order.ok_or(Failure::new(format_args!("too many pages for a block")))?;
        let block = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
        let frame = |half: u64, page: u64| {
            let place = match behind {
                Behind::Scattered => spread::scattered(page % pages, pages),
                Behind::Contiguous => page % pages,
            };
            block.pfn().add(half * pages + place)
        };
        let frames = [0, 1].map(|half| core::array::from_fn(|page| frame(half, page as u64)));
        for half in [0, 1] {
            for page in 0..pages {
                let frame = machine.frame_address(frame(half, page));
                let word = VirtAddr(frame.0 + spread::offset(page));
                // SAFETY: the block is ours.
                unsafe { proof::write(word, mark(half, page))? };
            }
        }
        let case = Refill {
            start: machine.layout.scratch.start,
            tlb: Tlb::new(LocalTlb::new(&machine.features), ceiling),
            machine,
            pages,
            step: spread::step(pages),
            block,
            frames,
            half: 0,
            sum: 0,
        };
        case.machine.scratch.map(
            case.start,
            &case.frames[0][..pages as usize],
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut case.machine.kernel.tables(),
        )?;
        Ok(case)
    }

    #[inline(always)]
    fn touch(&mut self) {
        // SAFETY: the pages are mapped to frames of ours.
        self.sum = unsafe { spread::touch(self.start.0, self.pages, self.step) };
    }

    fn end(self) -> Result<(), Failure> {
        let kernel = &mut self.machine.kernel;
        let owed = self.machine.scratch.unmap(self.start, self.pages)?;
        owed.flush(&kernel.tlb);
        kernel.frames.free(self.block)?;
        Ok(())
    }
}

impl Case for Refill<'_> {
    /// Other frames than before lie behind the pages, which the TLB has: the flush is owed.
    fn prepare(&mut self) -> Result<(), Failure> {
        self.touch();
        self.half ^= 1;
        let frames = &self.frames[self.half as usize][..self.pages as usize];
        drop(self.machine.scratch.remap(self.start, frames)?);
        self.sum = 0;
        Ok(())
    }

    fn operation(&mut self) {
        PendingFlush::new(self.start, self.pages, PageSize::Size4K).flush(&self.tlb);
        self.touch();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let expected: u64 = (0..self.pages).map(|page| mark(self.half, page)).sum();
        expect_eq!("the sum of the pages' words", self.sum, expected);
        Ok(())
    }
}

/// A case's name. Each caller writes the name out, so that grep finds it.
pub(super) fn case_name(name: fmt::Arguments<'_>) -> ArrayString<64> {
    let mut text = ArrayString::new();
    // Never longer than that.
    let _ = text.write_fmt(name);
    text
}

const HOW: [(&str, u64); 2] = [("by_page", u64::MAX), ("whole", 0)];

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    pages: u64,
    ceiling: u64,
    behind: Behind,
) {
    if !run.would(name) {
        return;
    }
    let outcome = Refill::new(machine, pages, ceiling, behind).and_then(|mut case| {
        run.measure(name, &mut case);
        case.end()
    });
    if let Err(failure) = outcome {
        run.check(name, Err(failure));
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for log2 in 0..=LARGEST {
        let tier = if QUICK.contains(&log2) {
            Tier::Quick
        } else {
            Tier::Full
        };
        for (how, ceiling) in HOW {
            let pages = 1 << log2;
            let name = case_name(format_args!("tlb/refill/pages={pages}/{how}"));
            run.in_tier(tier, |run| {
                measure(machine, run, &name, pages, ceiling, Behind::Scattered);
            });
            if log2 == LARGEST {
                let mut name = name;
                // Never longer than that.
                let _ = name.write_str("/frames=contiguous");
                run.in_tier(Tier::Full, |run| {
                    measure(machine, run, &name, pages, ceiling, Behind::Contiguous);
                });
            }
        }
    }
}
