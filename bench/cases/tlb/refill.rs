//! A flush, and the loads that fill the TLB in again: page by page only what was changed is lost, with the whole also the
//! translations of the code, the stack and all that runs. From some number of pages on the whole is cheaper nonetheless: the
//! crossover, which Linux sets at 33 pages for every CPU (`tlb_single_page_flush_ceiling`).

use core::fmt::Write;

use arrayvec::{ArrayString, ArrayVec};
use pagemark::boot::command_line::Suite;
use pagemark::console::log;
use pagemark::cpu::invalidate::LocalTlb;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::{PendingFlush, Tlb};
use pagemark_record::{Crossover, Record};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// log2 of the most pages.
pub(super) const LARGEST: u8 = 9;
/// Those that the quick suite has: log2 of pages.
pub(super) const QUICK: [u8; 4] = [0, 3, 6, 9];

/// Pages that are flushed and touched again. There are two frames for each, so that a proof can see which of them is read.
struct Refill<'m> {
    machine: &'m mut Machine,
    start: VirtAddr,
    pages: u64,
    frames: Block,
    /// Which half of the frames the pages are mapped to.
    half: u64,
    tlb: Tlb<LocalTlb>,
    sum: u64,
}

const fn mark(half: u64, page: u64) -> u64 {
    (half + 1) << 32 | page
}

impl<'m> Refill<'m> {
    fn new(machine: &'m mut Machine, pages: u64, ceiling: u64) -> Result<Self, Failure> {
        let order = Order::for_frames(2 * pages);
        let order = order.ok_or(Failure::new(format_args!("too many pages for a block")))?;
        let frames = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
        for half in [0, 1] {
            for page in 0..pages {
                let address = machine.frame_address(frames.pfn().add(half * pages + page));
                // SAFETY: the block is ours.
                unsafe { proof::write(address, mark(half, page))? };
            }
        }
        let case = Refill {
            start: machine.layout.scratch.start,
            tlb: Tlb::new(LocalTlb::new(&machine.features), ceiling),
            machine,
            pages,
            frames,
            half: 0,
            sum: 0,
        };
        let (first, end) = case.half(0);
        let (table, mut tables) = case.machine.kernel.table_and_tables();
        table.map(
            case.start,
            first..end,
            Protection::READ_WRITE,
            PageSize::Size4K,
            &mut tables,
        )?;
        Ok(case)
    }

    fn half(&self, half: u64) -> (Pfn, Pfn) {
        let first = self.frames.pfn().add(half * self.pages);
        (first, first.add(self.pages))
    }

    #[inline(always)]
    fn touch(&mut self) {
        let mut sum = 0;
        for page in 0..self.pages {
            let address = self.start.0 + page * PAGE_SIZE;
            // SAFETY: the page is mapped to a frame of ours.
            sum += unsafe { (address as *const u64).read_volatile() };
        }
        self.sum = sum;
    }

    fn end(self) -> Result<(), Failure> {
        let kernel = &mut self.machine.kernel;
        // SAFETY: the pages are the case's.
        unsafe { kernel.table.unmap_at(self.start, self.pages) }?.flush(&kernel.tlb);
        kernel.frames.free(self.frames)?;
        Ok(())
    }
}

impl Case for Refill<'_> {
    /// Other frames than before lie behind the pages, which the TLB has: the flush is owed.
    fn prepare(&mut self) -> Result<(), Failure> {
        self.touch();
        self.half ^= 1;
        let (first, end) = self.half(self.half);
        // SAFETY: the pages are the case's.
        drop(unsafe { self.machine.kernel.table.remap_at(self.start, first..end) }?);
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

/// The name of a case of so many pages.
pub(super) fn sized_name(what: &str, pages: u64, how: &str) -> ArrayString<48> {
    let mut name = ArrayString::new();
    // Never longer than that.
    let _ = write!(name, "tlb/{what}/pages={pages}/{how}");
    name
}

const HOW: [(&str, u64); 2] = [("by_page", u64::MAX), ("whole", 0)];

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for log2 in 0..=LARGEST {
        let tier = if QUICK.contains(&log2) {
            Tier::Quick
        } else {
            Tier::Full
        };
        for (how, ceiling) in HOW {
            let pages = 1 << log2;
            let name = sized_name("refill", pages, how);
            run.in_tier(tier, |run| {
                if !run.would(&name) {
                    return;
                }
                let outcome = Refill::new(machine, pages, ceiling).and_then(|mut case| {
                    run.measure(&name, &mut case);
                    case.end()
                });
                if let Err(failure) = outcome {
                    run.check(&*name, Err(failure));
                }
            });
        }
    }
}

/// Writes down from how many pages on the whole flush was the cheaper one in this run, if both were measured at two numbers of
/// pages at least. Between two numbers that were measured both costs are taken to grow evenly.
pub fn tell_crossover(machine: &Machine, run: &mut Run) {
    if machine.options.mutate.is_some() || machine.options.suite == Suite::Probe {
        return;
    }
    let mut measured: ArrayVec<(u64, [u64; 2]), { LARGEST as usize + 1 }> = ArrayVec::new();
    for log2 in 0..=LARGEST {
        let pages = 1 << log2;
        let costs = HOW.map(|(how, _)| run.median(&sized_name("refill", pages, how)));
        if let [Some(by_page), Some(whole)] = costs {
            measured.push((
                pages,
                [by_page, whole].map(|cost| cost.thousandths().max(0).unsigned_abs()),
            ));
        }
    }
    if measured.len() < 2 {
        return;
    }
    log::record(&Record::Crossover(Crossover {
        pages: pagemark_statistics::crossover(&measured),
        linux: Tlb::<LocalTlb>::DEFAULT_CEILING,
        ceiling: machine.kernel.tlb.ceiling(),
        largest: 1 << LARGEST,
    }));
}
